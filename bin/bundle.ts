// Our modules, and those of others that every start needs, as few files: to find, read and link two hundred small ones took
// a process 0.1 CPU seconds. What only some need stays where npm puts it.
//
//   bin/bucktail.js                             the command
//   parts/NAME-HASH.js                          what it loads; one more for each `import()`
//   shared/search-threads/searching-thread.js   what a thread begins with
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build, type Plugin } from 'esbuild'

/** Small, and loaded by every process. */
const BUNDLED = ['commander', 'msgpackr', 'picomatch', 'pino', 're2js', 'tweetnacl', 'yaml', 'zod']
const THREAD = 'shared/search-threads/searching-thread'
/** What an old Node must be able to read, to be told that it is old. */
const ENTRY = 'bin/bucktail'
/** Modules of CommonJS ask for Node's own by `require`. */
const REQUIRE =
  "import { createRequire as ownRequire } from 'node:module'; const require = ownRequire(import.meta.url);"

/** @param root  of the repository  @param folder  where it is written, beside package.json and web/ */
export async function bundle(root: string, folder: string): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { [ENTRY]: `${ENTRY}.ts`, 'parts/searching-thread': `${THREAD}.ts` },
    outdir: folder,
    chunkNames: 'parts/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Names stay: they are in stack traces.
    minifyWhitespace: true,
    legalComments: 'none',
    banner: { js: REQUIRE },
    plugins: [others(), ours(root)],
    metafile: true,
    logLevel: 'warning',
  })
  const thread = join(folder, `${THREAD}.js`)
  mkdirSync(join(thread, '..'), { recursive: true })
  writeFileSync(thread, "import '../../parts/searching-thread.js'\n")
  writeFileSync(join(folder, 'LICENSES.txt'), licences(root, Object.keys(metafile.inputs)))
}

/** Packages outside the list are imported as ever. */
function others(): Plugin {
  return {
    name: 'others',
    setup({ onResolve }) {
      onResolve({ filter: /^[^./]/ }, ({ path, kind, importer }) => {
        const name = path.split('/')[0]
        const isOurs = kind === 'entry-point' || BUNDLED.includes(name)
        // What a bundled package leans on goes with it.
        if (isOurs || path.startsWith('node:') || importer.includes('/node_modules/')) return undefined
        return { path, external: true }
      })
    },
  }
}

/** Our modules, where they lie and what they take of Node. */
function ours(root: string): Plugin {
  return {
    name: 'ours',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const name = relative(root, path).replace(/\.ts$/, '')
        const text = readFileSync(path, 'utf8')
        return { contents: withPlace(name === ENTRY ? text : withNode(text), name), loader: 'ts' }
      })
    },
  }
}

/** A module that asks where it is gets the place of its own in the former tree: files lie relative to that. */
function withPlace(text: string, name: string): string {
  return text.replaceAll('import.meta.url', `new URL('../${name}.js', import.meta.url).href`)
}

/**
 * Node's own modules are asked for what is needed of them. An import statement makes a copy of all their names, and so loads
 * what stands behind each: of `node:util` alone that took 8 ms.
 */
export function withNode(text: string): string {
  const statement = /^import (?!type )(\* as \w+|\w+|\{[^}]*\}) from '(node:[\w/]+)'$/gm
  return text.replace(statement, (_, names: string, module) => {
    const taken = names
      .replace('* as ', '')
      .replace(/\btype \w+(?: as \w+)?,?/g, '')
      .replaceAll(' as ', ': ')
    return `const ${taken} = process.getBuiltinModule('${module}')`
  })
}

/** Of the packages whose code is in the files. */
function licences(root: string, inputs: string[]): string {
  const names = new Set(inputs.map(path => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]))
  return [...names]
    .filter(name => name !== undefined)
    .sort()
    .map(name => licence(root, name))
    .join('\n')
}

function licence(root: string, name: string): string {
  const folder = join(root, 'node_modules', name)
  for (const file of ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'LICENCE', 'license']) {
    try {
      return `${name}\n\n${readFileSync(join(folder, file), 'utf8')}\n`
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  throw new Error(`${folder} has no licence file: it cannot be bundled`)
}
