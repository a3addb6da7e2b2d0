// A folder and those above it. Node's own way (`recursive`) goes round for ever where the folder above is there and the
// kernel says "no such file" all the same: below the root of an automounter, in /proc.
import { mkdirSync, statSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Answers the uppermost one that had to be made; undefined if all are there. Rejects with the system's error. */
export async function makeFolder(path: string): Promise<string | undefined> {
  try {
    await mkdir(path)
    return path
  } catch (error) {
    if ((await stat(path).catch(() => undefined))?.isDirectory()) return undefined
    if (!isBelowNothing(path, error)) throw error
  }
  const first = await makeFolder(dirname(path))
  try {
    await mkdir(path)
  } catch (error) {
    // Somebody else made it in the meantime.
    if (!(await stat(path).catch(() => undefined))?.isDirectory()) throw error
  }
  return first ?? path
}

/** As `makeFolder`, before there is anything to hold up. */
export function makeFolderSync(path: string): void {
  try {
    mkdirSync(path)
    return
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return
    if (!isBelowNothing(path, error)) throw error
  }
  makeFolderSync(dirname(path))
  try {
    mkdirSync(path)
  } catch (error) {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error
  }
}

/** The one above may be what is missing. */
function isBelowNothing(path: string, error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT' && dirname(path) !== path
}
