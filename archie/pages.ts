// The pages, as files of web/. Page code is TypeScript; a browser gets it with its types stripped. In the repository and in
// the package alike web/ lies beside the folder of the program: ../web from archie/, ../../web from dist/archie/.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire, stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { HttpProblem } from '../shared/face/problem.ts'

const HERE = dirname(fileURLToPath(import.meta.url))
/** The one place where page and program meet a foreign file. */
const SOCKET_IO_CLIENT = join(
  dirname(createRequire(import.meta.url).resolve('socket.io-client/package.json')),
  'dist/socket.io.esm.min.js',
)

/** Each is web/NAME.html within web/layout.html, and web/NAME.ts. */
const PAGES = [
  { path: '/', name: 'live', title: 'Live', classes: 'live' },
  { path: '/search', name: 'search', title: 'Search', classes: 'search' },
  { path: '/history', name: 'history', title: 'History', classes: 'status history' },
  { path: '/status', name: 'status', title: 'Status', classes: 'status' },
]

/** @param bucks their HTTP addresses: the pages may connect to these and to archie, nothing else */
export function addPages(app: FastifyInstance, bucks: string[]): void {
  const folder = webFolder()
  const cache = new Map<string, Promise<string>>()
  const load = (name: string) => {
    let content = cache.get(name)
    if (!content) {
      content = read(folder, name)
      cache.set(name, content)
      content.catch(() => cache.delete(name)) // the request that asked gets the error; the next one reads again
    }
    return content
  }
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    'img-src data:',
    `connect-src 'self' ${bucks.flatMap(url => [url, url.replace(/^http/, 'ws')]).join(' ')}`.trim(),
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ')
  const send = (reply: FastifyReply, type: string, content: string) =>
    reply
      .type(`${type}; charset=utf-8`)
      .header('Content-Security-Policy', policy)
      .header('X-Content-Type-Options', 'nosniff')
      .header('Referrer-Policy', 'no-referrer')
      .header('Cache-Control', 'no-cache')
      .send(content)

  for (const page of PAGES) {
    const { path, name } = page
    app.get(path, { schema: { hide: true } }, async (request, reply) => {
      // /status is a page for a browser and JSON for a program.
      if (path === '/status' && !(request.headers.accept ?? '').includes('text/html'))
        return reply.redirect('/api/v1/status')
      return send(reply, 'text/html', pageOf(page, await load('layout.html'), await load(`${name}.html`)))
    })
  }
  app.get<{ Params: { name: string } }>('/web/:name', { schema: { hide: true } }, async (request, reply) => {
    const { name } = request.params
    if (name === 'socket.io.js') return send(reply, 'text/javascript', await load(name))
    const parts = /^[a-z][a-z-]*\.(ts|css)$/.exec(name)
    if (!parts || !existsSync(join(folder, name)))
      throw new HttpProblem(404, 'Not found', `there is no ${name.slice(0, 100)}`)
    return send(reply, parts[1] === 'css' ? 'text/css' : 'text/javascript', await load(name))
  })
}

function pageOf({ path, name, title, classes }: (typeof PAGES)[number], layout: string, content: string): string {
  const parts: Record<string, string> = { TITLE: title, NAME: name, CLASSES: classes, CONTENT: content }
  return layout
    .replace(/\b(TITLE|NAME|CLASSES|CONTENT)\b/g, part => parts[part])
    .replace(`<a href="${path}">${title}</a>`, `<a href="${path}" aria-current="page">${title}</a>`)
}

async function read(folder: string, name: string): Promise<string> {
  if (name === 'socket.io.js')
    return (await readFile(SOCKET_IO_CLIENT, 'utf8')).replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n')
  const text = await readFile(join(folder, name), 'utf8')
  return name.endsWith('.ts') ? withoutTypes(text) : text
}

function withoutTypes(text: string): string {
  // Node warns once that the function is young. It is what runs this program too, and users cannot act on the warning.
  const warn = process.emitWarning
  process.emitWarning = () => undefined
  try {
    // The one import by name that pages have; a browser needs an address.
    return stripTypeScriptTypes(text, { mode: 'strip' }).replaceAll("from 'socket.io-client'", "from './socket.io.js'")
  } finally {
    process.emitWarning = warn
  }
}

function webFolder(): string {
  for (const folder of [join(HERE, '../web'), join(HERE, '../../web')]) {
    if (existsSync(join(folder, 'live.html'))) return folder
  }
  throw new Error(`the pages (folder web/) are not beside ${HERE}: install the package again`)
}
