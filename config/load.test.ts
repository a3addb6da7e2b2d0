import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { settingKeys } from './keys.ts'
import { loadSettings, SETTINGS_BYTES_MAX, SettingsError } from './load.ts'
import { settingsPage } from './reference.ts'

function mistakesOf(read: () => unknown): string[] {
  try {
    read()
  } catch (error) {
    if (error instanceof SettingsError) return error.mistakes.map(({ where, message }) => `${where}: ${message}`)
    throw error
  }
  return []
}

test('without a file the defaults are whole', async t => {
  const { settings, warnings } = loadSettings({ environment: {} })
  t.equal(settings.bucket_time, 60_000)
  t.equal(settings.tailer.packet_bytes, 3_000_000)
  t.equal(settings.channel.mode, 'nacl')
  t.equal(settings.porter.archive_after, 48 * 3_600_000)
  t.same(warnings, [])
})

test('flags beat environment, environment beats file, file beats default', async t => {
  const path = join(
    t.testdir({ 'b.yaml': 'environment: file\ndata: file\nbucket_time: 20s\ntailer:\n  host: file\n' }),
    'b.yaml',
  )
  const { settings } = loadSettings({
    path,
    environment: { BUCKTAIL_DATA: 'variable', BUCKTAIL_TAILER_HOST: 'variable' },
    flags: { 'tailer.host': 'flag', data: undefined },
    defaults: { bucket_time: '10s', 'archive.span': '2h' },
  })
  t.equal(settings.environment, 'file')
  t.equal(settings.bucket_time, 20_000)
  t.equal(settings.data, 'variable')
  t.equal(settings.tailer.host, 'flag')
  t.equal(settings.archive.span, 7_200_000)
})

test('every key can be given as an environment variable', async t => {
  const variables = settingKeys().map(key => key.variable)
  t.equal(new Set(variables).size, variables.length, 'no two keys have the same variable')
  const { settings } = loadSettings({
    environment: {
      BUCKTAIL_TAILER_FILES: '/a/*.log, /b.log',
      BUCKTAIL_ARCHIVE_TRUST: 'true',
      BUCKTAIL_TAILER_DISK_LIMIT: '2GiB',
      BUCKTAIL_PORTER_ARCHIVE_AFTER: '90m',
    },
  })
  t.same(settings.tailer.files, ['/a/*.log', '/b.log'])
  t.equal(settings.archive.trust, true)
  t.equal(settings.tailer.disk_limit, 2 ** 31)
  t.equal(settings.porter.archive_after, 5_400_000)
})

test('a mistake is named with line, column and a hint', async t => {
  const text = [
    'environment: Prod',
    'tailer:',
    '  flies: [a.log]',
    '  disk_limit: 3 apples',
    'bucks:',
    '  - 127.0.0.1:7700',
    '  - nowhere',
    'bucket_tim: 4s',
    'listen: 127.0.0.1:1',
    '',
  ].join('\n')
  const path = join(t.testdir({ 'b.yaml': text }), 'b.yaml')
  t.same(
    mistakesOf(() => loadSettings({ path, environment: { BUCKTAIL_BUCKET_TIME: '2h' } })),
    [
      `${path}:1:1: environment: small letters, digits and hyphens, at most 63`,
      `${path}:3:3: \`flies\` is not a setting; did you mean \`files\`?`,
      `${path}:4:3: tailer.disk_limit: "3 apples" is not a size: write a number and B, KB, MB or GB`,
      `${path}:7:5: bucks.1: "nowhere" is not an address: write host:port, such as 127.0.0.1:7700`,
      `${path}:8:1: \`bucket_tim\` is not a setting; did you mean \`bucket_time\`?`,
      `${path}:9:1: \`listen\` is not a setting; did you mean \`buck.listen\`?`,
      'BUCKTAIL_BUCKET_TIME: bucket_time: 2h is not between 1s and 1024s',
    ],
  )
})

test('a mistake within an entry of a list is named itself, not that the entry fits nothing', async t => {
  const text = [
    'tailer:',
    '  multiline: sometimes',
    '  redact: [cards, phones]',
    '  files:',
    '    - path: /a',
    "      multiline: { start: '(' }",
    '    - path: /b',
    '      zone: Mars/X',
    '    - path: /c',
    '      ap: x',
    '    - 7',
    '',
  ].join('\n')
  const path = join(t.testdir({ 'b.yaml': text }), 'b.yaml')
  t.same(
    mistakesOf(() => loadSettings({ path, environment: {} })),
    [
      `${path}:2:3: tailer.multiline: traces, none, time or indented; for a file also \`start: PATTERN\` or \`continue: PATTERN\``,
      `${path}:3:19: tailer.redact: cards, emails, bearer, or an entry with \`name\` and \`pattern\``,
      `${path}:6:20: tailer.files: "(" is not a regular expression: error parsing regexp: missing closing ): \`(\``,
      `${path}:8:7: tailer.files: an IANA zone, such as Europe/Berlin`,
      `${path}:10:7: \`ap\` is not a setting; did you mean \`app\`?`,
      `${path}:11:7: tailer.files: a path, a glob, or an entry with \`path\` and \`app\`, \`host\`, \`zone\`, \`from\`, \`names\`, \`multiline\`, \`redact\`, \`keep\`, \`drop\`, \`rate_limit\`, \`quota\`, \`durability\``,
    ],
  )
})

test('a rate is lines or bytes per second', async t => {
  const read = (rate: string | { rate: string; over: string }) => () =>
    loadSettings({ environment: {}, flags: { 'tailer.files': [{ path: 'a.log', rate_limit: rate }] } })
  const lines = { per: 'lines', perSecond: 1000 }
  t.match(read('1000 lines/s')().settings.tailer.files, [{ rate_limit: { rate: lines, over: 'wait' } }])
  t.match(read({ rate: '1000 lines/s', over: 'discard' })().settings.tailer.files, [
    { rate_limit: { rate: lines, over: 'discard' } },
  ])
  t.match(read('5MB/s')().settings.tailer.files, [{ rate_limit: { rate: { per: 'bytes', perSecond: 5e6 } } }])
  t.match(mistakesOf(read({ rate: '1 lines/s', over: 'hide' })).join(), 'wait (the rest stays in the file) or discard')
  for (const wrong of ['1000', '0 lines/s', '0B/s', '5MB', '-1 lines/s', '5 lines/m', '']) {
    t.match(mistakesOf(read(wrong)).join(), 'is not a rate', wrong)
  }
})

test('a filter that cannot be used, or would be slow, is refused with its place', async t => {
  const read = (entry: Record<string, unknown>) => () =>
    loadSettings({ environment: {}, flags: { 'tailer.files': [{ path: 'a.log', ...entry }] } })
  const good = { keep: ['ERROR'], drop: ['DEBUG', { name: 'health', pattern: 'GET /health[z ]' }] }
  t.match(read(good)().settings.tailer.files, [good])
  t.match(mistakesOf(read({ drop: ['(x'] })).join(), '"(x" is not a regular expression')
  t.match(mistakesOf(read({ keep: ['\\pL{500}'] })).join(), 'has more than 400 steps')
  t.match(mistakesOf(read({ drop: [{ name: 'x' }] })).join(), 'tailer.files')
  t.match(mistakesOf(read({ keep: [''] })).join(), 'must not be empty')
})

test('a file that is no settings file is refused with a reason', async t => {
  const dir = t.testdir({
    'torn.yaml': 'a: [1\nb: 2\n',
    'list.yaml': '- a\n- b\n',
    'binary.yaml': 'a\0b',
    'twice.yaml': 'data: a\ndata: b\n',
    'bomb.yaml': `a: &a [x, x]\n${Array.from({ length: 12 }, (_, i) => `k${i}: &k${i} [${'*a, '.repeat(20)}]`).join('\n')}\n`,
  })
  writeFileSync(join(dir, 'huge.yaml'), Buffer.alloc(SETTINGS_BYTES_MAX + 1, '#'))
  const first = (name: string) => mistakesOf(() => loadSettings({ path: join(dir, name), environment: {} }))[0] ?? ''
  t.match(first('torn.yaml'), /torn\.yaml:\d+:\d+: /)
  t.match(first('list.yaml'), /does not hold `key: value` lines/)
  t.match(first('binary.yaml'), /not a text file/)
  t.match(first('twice.yaml'), /twice\.yaml:2:1: .*unique/)
  t.match(first('bomb.yaml'), /bomb\.yaml.*alias/i)
  t.match(first('huge.yaml'), /at most 1048576/)
  t.match(first('missing.yaml'), /does not exist/)
  t.match(first(''), /is a folder/)
  if (process.getuid?.() !== 0) {
    chmodSync(join(dir, 'torn.yaml'), 0)
    t.match(first('torn.yaml'), /permission denied/)
  }
})

test('an unknown variable is told, not fatal: a cluster may set some of its own', async t => {
  const { warnings } = loadSettings({
    environment: { BUCKTAIL_TAILER_FLIES: 'x', BUCKTAIL_PORT: 'tcp://10.0.0.1:7780' },
  })
  t.same(
    warnings.map(({ where, message }) => `${where}: ${message}`)[0],
    'BUCKTAIL_TAILER_FLIES: no setting has this name, it is ignored; did you mean BUCKTAIL_TAILER_FILES?',
  )
  t.equal(warnings.length, 2)
})

test('the sample settings are good', async t => {
  const { settings } = loadSettings({
    path: new URL('samples/bucktail.yaml', import.meta.url).pathname,
    environment: {},
  })
  t.equal(settings.bucks.length, 3)
})

test('docs/settings.md is as the schema says (npm run settings-page)', async t => {
  t.equal(readFileSync(new URL('../docs/settings.md', import.meta.url), 'utf8'), settingsPage())
})
