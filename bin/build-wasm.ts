// The codec of shared/columns as WebAssembly: its sources are AssemblyScript as they are, but for two modules, which
// are exchanged for the machine's own instructions. Part of `npm run build`, and of `npm ci` in the repository (`prepare`).
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { coreSourcesHash, withSourcesHash } from '../shared/columns/sources.ts'

const CORE = new URL('../shared/columns/core/', import.meta.url)
const FILE = 'columns.wasm'
/** These have a form of their own, NAME.as. */
const EXCHANGED = ['memory', 'scan']

/** @param folder  where columns.wasm is written */
export async function buildWasm(folder: URL): Promise<void> {
  const { default: asc } = await import('assemblyscript/asc')
  let compiled: Uint8Array | undefined
  const { error, stderr } = await asc.main(
    [
      ...['main.ts', '--outFile', FILE, '-O3', '--converge', '--noAssert', '--runtime', 'stub', '--initialMemory', '1'],
      ...['--enable', 'simd'],
    ],
    {
      readFile: name => source(name),
      writeFile: (name, contents) => {
        if (name === FILE) compiled = contents as Uint8Array
      },
      listFiles: () => [],
    },
  )
  if (error !== null || compiled === undefined)
    throw new Error(`AssemblyScript: ${stderr.toString()}`, { cause: error })
  // By rename: another process may be reading it.
  const draft = new URL(`${FILE}.${process.pid}`, folder)
  writeFileSync(draft, withSourcesHash(compiled, coreSourcesHash() ?? ''))
  renameSync(draft, new URL(FILE, folder))
}

/** Null where there is no such file: the compiler asks for others, too. */
function source(name: string): string | null {
  const base = name.replace(/^.*\//, '').replace(/\.ts$/, '')
  let text: string
  try {
    text = readFileSync(new URL(EXCHANGED.includes(base) ? `${base}.as` : `${base}.ts`, CORE), 'utf8')
  } catch {
    return null
  }
  // Types of TypeScript's own: i32 is built in there.
  return text
    .replaceAll(/^import type .*$/gm, '')
    .replaceAll(/\btype i32,?\s*/g, '')
    .replaceAll(".ts'", "'")
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await buildWasm(new URL('../shared/columns/', import.meta.url))
  } catch (error) {
    // Also an installation without the tools for development comes here.
    console.error(`columns.wasm was not built, plain JavaScript does its work: ${(error as Error).message}`)
  }
}
