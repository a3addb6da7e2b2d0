// `npm run build`: what the package holds, in dist/: JavaScript (bundle.ts), and the columns codec as WebAssembly. Types are
// checked by `npm run check`. The pages in web/ are shipped as they are (archie/pages.ts).
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { buildWasm } from './build-wasm.ts'
import { bundle } from './bundle.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
rmSync('dist', { recursive: true, force: true })
await bundle(root, `${root}dist`)
mkdirSync('dist/shared/columns', { recursive: true })
await buildWasm(pathToFileURL('dist/shared/columns/'))
chmodSync('dist/bin/bucktail.js', 0o755)
