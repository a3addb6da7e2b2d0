import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { testFolder } from '../../shared/test-folder.test-support.ts'
import { run } from '../../test/command.ts'
import { freeFleetPort } from '../../test/ports.test-support.ts'
import { openPlace } from '../place.ts'

test('search ranks values and shapes of lines, and a shape is searched by its name', async t => {
  const dir = testFolder(t)
  const log = join(dir, 'app.log')
  const lines = Array.from({ length: 30 }, (_, i) => {
    const time = new Date(Date.UTC(2026, 2, 1, 12, i)).toISOString()
    return i === 29 ? `${time} disk ${i} is full\n` : `${time} user ${i} logged ${i % 3 === 0 ? 'out' : 'in'}\n`
  })
  writeFileSync(log, lines.join(''))
  const data = join(dir, 'data')
  const up = await run(['up', '--once', '--data', data, '--port', `${await freeFleetPort()}`, log])
  t.equal(up.code, 0, up.stderr)
  const search = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(['search', '--data', data, ...args])
    return { code, stdout: stdout.toString(), stderr: stderr.toString() }
  }

  const { stdout } = await search('--top', 'templates', '--json')
  const values = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { value: string; text: string; events: number })
  t.same(
    values.map(({ text, events }) => [text, events]),
    [
      ['<*> user <*> logged in', 19],
      ['<*> user <*> logged out', 10],
      ['<*> disk <*> is full', 1],
    ],
  )
  const found = await search(`template:${values[1].value}`, '--raw')
  t.equal(found.stdout, lines.filter(line => line.endsWith('logged out\n')).join(''))

  const unseen = ['--since', '2026-03-01T12:29:00Z', '--unseen', '2026-03-01T12:00:00Z']
  t.match(await search('--top', 'templates', ...unseen), { code: 0, stdout: /^events .*\n1 .* disk <\*> is full\n$/ })
  t.match(await search('--top', 'levels', ...unseen), { code: 0, stdout: '' })
  t.match(await search('user', '--top', 'paths', '--limit', '1'), { code: 0, stdout: /29 +.*app\.log/ })

  t.match(await search('--top', 'colours'), { code: 2, stderr: /one of hosts, apps/ })
  t.match(await search('--unseen', '1d'), { code: 2, stderr: /--unseen goes with --top and --since/ })
  t.match(await search('--top', 'hosts', '--since', '2d', '--unseen', '1d'), { code: 2, stderr: /not before --since/ })
})

test('a search of any length may be left when enough was seen, as `head` does', async t => {
  const event = {
    id: 'a',
    time: '2026-03-01T12:00:00Z',
    host: 'h',
    app: 'a',
    level: '',
    path: '/x',
    message: 'm'.repeat(200),
  }
  const archie = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    const more = setInterval(() => response.write(`${JSON.stringify(event)}\n`.repeat(500)), 5)
    response.on('close', () => clearInterval(more))
  })
  archie.listen(0, '127.0.0.1')
  await once(archie, 'listening')
  t.teardown(() => archie.close())
  const place = await openPlace({ archie: `http://127.0.0.1:${(archie.address() as AddressInfo).port}` })
  for await (const { host } of place.search({ in: 'recent', q: 'm', order: 'oldest' }, () => undefined)) {
    t.equal(host, 'h')
    break
  }
  // An error that nobody waits for would come now, and end the process.
  await new Promise(resolve => setTimeout(resolve, 100))
})
