// Which sources a columns.wasm was made of: it carries their hash, so that one that is older than a checkout is not used.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

const CORE = new URL('./core/', import.meta.url)
/** Name of the custom section that holds the hash. */
const SECTION = 'sources'

/** Of all modules of core/, as hex; undefined in the package, which has none: nothing can be newer. */
export function coreSourcesHash(): string | undefined {
  if (!existsSync(CORE)) return undefined
  const names = readdirSync(CORE).filter(name => name.endsWith('.ts') || name.endsWith('.as'))
  const hash = createHash('sha256')
  for (const name of names.sort()) hash.update(name).update(readFileSync(new URL(name, CORE)))
  return hash.digest('hex')
}

/** The module with the hash behind its other sections. */
export function withSourcesHash(wasm: Uint8Array, hash: string): Buffer {
  const name = Buffer.from(SECTION)
  const payload = Buffer.concat([Buffer.from([name.length]), name, Buffer.from(hash)])
  return Buffer.concat([wasm, Buffer.from([0, payload.length]), payload])
}

export function sourcesHashOf(module: WebAssembly.Module): string {
  return WebAssembly.Module.customSections(module, SECTION)
    .map(section => Buffer.from(section).toString())
    .join('')
}
