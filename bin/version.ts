import { existsSync, readFileSync } from 'node:fs'

/** Of the package. This file is in bin/ of the repository, or in dist/bin/ of the package. */
export function packageVersion(): string {
  const own = new URL('../package.json', import.meta.url)
  const file = existsSync(own) ? own : new URL('../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
