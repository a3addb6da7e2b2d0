// Lines that come from no file: pushed over HTTP, or piped. Accepted means on this disk, whoever is killed then.
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { until } from '../shared/until.test-support.ts'
import { ended, pidOf, run, start, startUp } from './command.ts'

const PIPED = 5_000
const PUSHES = 40
const LINES_PER_PUSH = 25

test('pushed and piped lines are there once each, although the tailer is killed meanwhile', async t => {
  const dir = testFolder(t, { 'app.log': 'a file beside them\n' })
  const data = join(dir, 'data')
  const up = await startUp(t, ['--data', data, '--bucket-time', '1s', join(dir, 'app.log')], {
    env: { BUCKTAIL_PORTER_ARCHIVE_AFTER: '1s' },
  })
  const gatewayPort = Number(new URL(up.url).port) + 10
  const gateway = `http://127.0.0.1:${gatewayPort}`
  await t.test('what cannot be a log line is refused with a reason', t => refusals(t, gatewayPort))
  t.match((await run(['pipe', '--app', '../x', '--data', data])).stderr, /letters, digits/)

  const pipe = start(['pipe', '--app', 'build', '--data', data], { stdin: 'pipe' })
  const pipeEnd = ended(pipe)
  for (let i = 0; i < PIPED; i++) pipe.stdin!.write(`piped line number p${i}x\n`)
  process.kill(pidOf(data, 'tailer'), 'SIGKILL')
  pipe.stdin!.end('piped line number p-lastx, without an end')
  t.equal((await pipeEnd).code, 0)

  let accepted = 0
  for (let push = 0; push < PUSHES; push++) {
    const logs = Array.from({ length: LINES_PER_PUSH }, (_, i) => ({
      message: `pushed line number q${push * LINES_PER_PUSH + i}x`,
      app: 'shop',
      host: 'kiosk7',
      level: 'error',
      time: '2026-05-04T03:02:01.5Z',
    }))
    // While the tailer is started again nobody answers: what was not accepted is sent again.
    await until('the gateway accepts', async () => {
      const response = await fetch(`${gateway}/v1/logs/create`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ logs }),
      }).catch(() => undefined)
      return response?.status === 201
    })
    accepted += LINES_PER_PUSH
  }
  const text = await fetch(`${gateway}/v1/logs/create?app=plain`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: 'first plainly pushed\nsecond plainly pushed',
  })
  t.same([text.status, await text.json()], [201, { accepted: 2 }])

  const count = async (query: string) => {
    const { code, stdout, stderr } = await run(['search', query, '--json', '--archie', up.url, '--in', 'archive'])
    if (code !== 0) throw new Error(`search: ${code} ${stderr}`)
    return stdout.toString().split('\n').filter(Boolean)
  }
  await until(
    'all is archived',
    async () => (await count('plainly OR piped OR pushed')).length >= PIPED + 1 + accepted + 2,
  )
  const piped = await count('piped')
  t.equal(new Set(piped.map(line => /p(\d+|-last)x/.exec(line)?.[1])).size, PIPED + 1, 'every piped line is there')
  t.equal(piped.length, PIPED + 1, 'and none twice')
  t.equal(JSON.parse(piped[0]).app, 'build')
  const pushed = await count('app:shop')
  t.equal(new Set(pushed.map(line => /q(\d+)x/.exec(line)?.[1])).size, accepted, 'every pushed line is there')
  t.equal(pushed.length, accepted, 'and none twice')
  const { host, app, level, time } = JSON.parse(pushed[0])
  t.match({ host, app, level }, { host: 'kiosk7', app: 'shop', level: 'error' })
  t.match(String(time), /^2026-05-04T03:02:01\.5/)

  const ledger = await run(['ledger', '--archie', up.url])
  t.equal(ledger.code, 0, ledger.stderr + ledger.stdout)

  const spooled = () => readdirSync(join(data, 'tailer', 'spool', 'build')).length
  t.ok(existsSync(join(data, 'tailer', 'spool', 'build')))
  await until('the spool is emptied', () => Promise.resolve(spooled() === 0))
  t.equal((await up.stop()).code, 0)
})

async function refusals(t: Test, port: number): Promise<void> {
  const push = async (
    body: string,
    type = 'application/json',
    more: { query?: string; headers?: Record<string, string> } = {},
  ) => {
    const response = await fetch(`http://127.0.0.1:${port}/v1/logs/create${more.query ?? ''}`, {
      method: 'POST',
      headers: { 'content-type': type, ...more.headers },
      body,
    })
    return `${response.status} ${await response.text()}`
  }
  t.match(await push('{"message":'), /^400 .*JSON/)
  t.match(await push('{"msg":"x"}'), /^400 .*message/)
  t.match(await push('[]'), /^400 .*no line/)
  t.match(await push('', 'text/plain'), /^400 .*no line/)
  t.match(await push('x', 'text/plain', { query: '?app=../../etc' }), /^400 .*letters, digits/)
  t.match(await push('<x/>', 'application/xml'), /^415 /)
  // Its length alone is refused: a body that nobody reads would end in a broken connection.
  const tooLong = request({ port, path: '/v1/logs/create', method: 'POST' })
  tooLong
    .setHeader('content-type', 'text/plain')
    .setHeader('content-length', 9 * 1024 * 1024)
    .flushHeaders()
  const [answer] = (await once(tooLong, 'response')) as [IncomingMessage]
  t.equal(answer.statusCode, 413)
  tooLong.destroy()
  t.match(await push('{"message":"x"}', 'application/json', { headers: { origin: 'http://evil.example' } }), /^403 /)
}
