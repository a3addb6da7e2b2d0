// What engines are made of (jars, a built gateway) is downloaded once per machine, outside the checkout.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'bucktail')
}

/**
 * A folder that `build` filled, now or in an earlier run. Several processes may build it at once: the first to be done wins.
 * @param recipe  all that the content follows from; another recipe is another folder
 */
export async function builtOnce(
  name: string,
  recipe: string[],
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12)
  const folder = join(cacheFolder(), `${name}-${hash}`)
  if (existsSync(folder)) return folder
  await mkdir(cacheFolder(), { recursive: true })
  const draft = await mkdtemp(join(cacheFolder(), `draft-${name}-`))
  try {
    await build(draft)
    await rename(draft, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error
    })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return folder
}
