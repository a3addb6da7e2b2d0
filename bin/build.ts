// `npm run build`: JavaScript in dist/ by tsc, the columns codec as WebAssembly, for the package. The pages in web/ are shipped as they are (archie/pages.ts).
import { spawnSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { buildWasm } from './build-wasm.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
rmSync('dist', { recursive: true, force: true })
const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
  stdio: 'inherit',
})
if (tsc.status !== 0) process.exit(tsc.status ?? 1)
await buildWasm(pathToFileURL('dist/shared/columns/'))
chmodSync('dist/bin/bucktail.js', 0o755)
