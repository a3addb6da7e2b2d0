// Sizes and times of many files at once. A call through a thread costs many times what the file system itself takes, which
// is microseconds where it is a local one; a network's may not answer for minutes, and is asked through threads as ever.
import { type Stats, statSync } from 'node:fs'
import { stat, statfs } from 'node:fs/promises'

/** By the magic numbers of statfs(2): ext, xfs, btrfs, tmpfs, overlay, zfs, f2fs, ramfs. */
const LOCAL = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1, 0xf2f52010, 0x858458f6])
/** Others have their turn in between: a fraction of a millisecond. */
const FILES_AT_ONCE = 128

/** By device: whether it is a local one. */
const known = new Map<number, boolean>()

/** Undefined where there is no such file; an error is told. Links are followed. */
export async function statAll(
  paths: string[],
  onError: (path: string, error: unknown) => void,
): Promise<(Stats | undefined)[]> {
  const found: (Stats | undefined)[] = []
  let isLocal = false
  for (const [i, path] of paths.entries()) {
    try {
      found[i] = isLocal ? statSync(path, { throwIfNoEntry: false }) : await stat(path)
      if (i === 0) isLocal = await isOnLocal(path, found[i]!.dev)
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) onError(path, error)
    }
    if (i % FILES_AT_ONCE === FILES_AT_ONCE - 1) await new Promise(setImmediate)
  }
  return found
}

/** @param dev  of the file at `path` */
export async function isOnLocal(path: string, dev: number): Promise<boolean> {
  let isLocal = known.get(dev)
  if (isLocal === undefined) {
    isLocal = LOCAL.has((await statfs(path)).type)
    known.set(dev, isLocal)
  }
  return isLocal
}
