// Searches of a filled index, through archie's REST, as a user has them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { ENTRY, until } from './processes.ts'

export interface SearchResult {
  name: string
  query: string
  found: number
  /** The newest 100, as the search page asks for them. */
  firstMs: number
  /** Every event, streamed. */
  allMs: number
}

export async function benchSearches(options: {
  data: string
  log: string
  port: number
  queries: Record<string, string>
}): Promise<SearchResult[]> {
  const { data, log, port, queries } = options
  const up = spawn(process.execPath, [ENTRY, 'up', '--data', data, '--port', String(port), log], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const url = `http://127.0.0.1:${port}`
  try {
    await until(
      'archie answers',
      () =>
        fetch(`${url}/readyz`).then(
          ({ ok }) => ok,
          () => false,
        ),
      60_000,
    )
    const results: SearchResult[] = []
    for (const [name, query] of Object.entries(queries)) {
      const q = encodeURIComponent(query)
      const first = await timed(async () => (await fetch(`${url}/api/v1/search?q=${q}&limit=100`)).arrayBuffer())
      let found = 0
      const all = await timed(async () => {
        const response = await fetch(`${url}/api/v1/search?q=${q}&order=oldest&format=ndjson`)
        const lines = createInterface({ input: Readable.fromWeb(response.body as never) })
        // Others are notes: the end, and what could not be searched.
        for await (const line of lines) if (line.startsWith('{"id"')) found++
      })
      results.push({ name, query, found, firstMs: first, allMs: all })
    }
    return results
  } finally {
    up.kill('SIGINT')
    await once(up, 'exit')
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}
