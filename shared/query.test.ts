import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { test } from 'tap'
import { QueryError, type QueryNode } from './query/syntax.ts'
import { parseQuery, type Searchable } from './query.ts'
import { shapeIdOf } from './search/shape.ts'

function event(line: string | Buffer, fields: Partial<Searchable> = {}): Searchable {
  return { bytes: Buffer.from(line as string), host: '', app: '', level: '', path: '', ...fields }
}

/** Whether the query finds the line; a block that holds it must never be passed over if so. */
function finds(query: string, line: string | Buffer, fields: Partial<Searchable> = {}): boolean {
  const parsed = parseQuery(query)
  const sought = event(line, fields)
  const found = parsed.matches(sought)
  const block = Buffer.concat([Buffer.from('another line\n'), sought.bytes, Buffer.from('and one more\n')])
  const candidate = parsed.nextCandidate(block, 13)
  if (found && (!parsed.couldMatch(block) || candidate < 13 || candidate > 13 + sought.bytes.length)) {
    throw new Error(`${query} passes over ${line}`)
  }
  return found
}

const LINE =
  'Jan  2 03:04:05 web1 sshd[24200]: Failed password for invalid user root_2 from 173.234.31.186 port 38926\n'

const TABLE: [query: string, line: string | Buffer, found: boolean][] = [
  ['', LINE, true],
  [' \t\n', LINE, true],
  ['', '', true],
  ['*', '', true],
  ['failed', LINE, true],
  ['FAILED PASSWORD', LINE, true],
  ['password failed', LINE, true],
  ['"password failed"', LINE, false],
  ['"failed PASSWORD for"', LINE, true],
  ['"ailed password"', LINE, false],
  ['fail', LINE, false],
  ['fail*', LINE, true],
  ['*ailed', LINE, true],
  ['*aile*', LINE, true],
  ['*aile', LINE, false],
  ['aile*', LINE, false],
  ['**aile**', LINE, true],
  ['*"d password f"*', LINE, true],
  ['"failed pass"*', LINE, true],
  ['sshd', LINE, true],
  ['sshd[24200]:', LINE, true],
  ['root', LINE, false],
  ['root_2', LINE, true],
  ['173.234.31.186', LINE, true],
  ['73.234.31.186', LINE, false],
  ['234.31', LINE, true],
  ['port 38926', LINE, true],
  ['3892', LINE, false],
  ['-fail', LINE, true],
  ['-failed', LINE, false],
  ['-"failed password"', LINE, false],
  ['-(failed OR accepted)', LINE, false],
  ['-(failed accepted)', LINE, true],
  ['failed -accepted', LINE, true],
  ['accepted OR failed', LINE, true],
  ['accepted OR failed nothere', LINE, false],
  ['(accepted OR failed) nothere', LINE, false],
  ['(accepted OR failed) root_2', LINE, true],
  ['failed or password', LINE, false],
  ['((failed))', LINE, true],
  ['(failed)(password)', LINE, true],
  ['a OR b OR port', LINE, true],
  ['/user \\w+_\\d/', LINE, true],
  ['/USER/', LINE, false],
  ['/USER/i', LINE, true],
  ['/^Jan.*\\d$/', LINE, true],
  ['/^password/', LINE, false],
  ['-/user/', LINE, false],
  ['(/user/)', LINE, true],
  ['/a\\/b/', 'x a/b y', true],
  ['"/var/log"', 'in /var/log/x', true],
  ['\\/var', 'in /var/log/x', true],
  ['--flag'.replace('--', '"--').concat('"'), 'with --flag', true],
  ['"a \\"b\\" c"', 'x a "b" c y', true],
  ['\\(x\\)', 'f(x)', true],
  ['a\\*b', 'a*b', true],
  ['\\*', 'a * b', true],
  ['\\*', 'a b', false],
  ['C:\\temp', 'in C:\\temp\\x', true],
  ['"C:\\\\"', 'in C:\\temp', true],
  ['two\\ words', 'two words', true],
  ['host\\:web1', 'the host:web1 is', true],
  ['"OR"', 'this OR that', true],
  ['ORDER', 'an order', true],
  ['key=value', 'key=value', true],
  ['foo:bar', 'x foo:bar y', true],
  ['b', 'ab\r\n', false],
  ['/b$/', 'ab\r\n', true],
  ['/b.$/', 'ab\r\n', false],
  ['/\\r$/', 'ab\r', true],
  ['x', 'a\0x\0b', true],
  ['"a\0b"', 'a\0b', true],
  // Beyond ASCII.
  ['caf\u00e9', 'Un CAF\u00c9 noir', true],
  ['caf', 'un caf\u00e9', false],
  ['caf*', 'un caf\u00e9', true],
  ['\u00e9t\u00e9', 'l\u2019\u00c9t\u00e9.', true],
  ['t\u00e9', 'l\u2019\u00c9t\u00e9.', false],
  ['noir', '\u00e9noir', false],
  ['noir', 'noir\u00e9', false],
  ['noir', '\u2019noir\u2019', true],
  ['\u6f22\u5b57', '\u3053\u306e\u6f22\u5b57\u3092\u8aad\u3080', true],
  ['\u6f22', '\u6f22\u5b57', true],
  ['error', '\u6f22\u5b57error\u6f22\u5b57', true],
  ['\u{1f600}', 'smile \u{1f600}!', true],
  ['\u03c3', '\u03a3', true],
  ['k', '\u212a', false],
  ['/caf./', 'un caf\u00e9', true],
  ['/^.$/', '\u{1f600}', true],
  // Bytes that are not UTF-8.
  ['word', Buffer.from([0xff, 0x77, 0x6f, 0x72, 0x64, 0xc3]), true],
  ['word', Buffer.concat([Buffer.from('\u00e9'), Buffer.from('word')]), false],
  ['word', Buffer.concat([Buffer.from('\u00e9').subarray(1), Buffer.from('word')]), true],
  ['\u00e9', Buffer.from([0xe9]), false],
  ['/x.y/', Buffer.from([0x78, 0xff, 0x79]), true],
  ['\u00e9', Buffer.concat([Buffer.from([0xc3]), Buffer.from('\u00e9'), Buffer.from([0xa9])]), true],
]

test('queries find the lines they should, and only those', async t => {
  for (const [query, line, found] of TABLE) {
    t.equal(finds(query, line), found, `${query} in ${line.toString().slice(0, 50)}`)
  }
})

test('fields are compared whole, in either case, with stars for anything', async t => {
  const fields = { host: 'Web1', app: 'nginx', level: 'error', path: '/var/log/nginx/Access.log.1' }
  const table: [query: string, found: boolean][] = [
    ['host:web1', true],
    ['host:web', false],
    ['host:web*', true],
    ['host:*b1', true],
    ['host:w*b*1', true],
    ['host:w*1*1', false],
    ['host:"WEB1"', true],
    ['host:"web*"', false],
    ['host:*', true],
    ['host:""', false],
    ['app:nginx host:web1', true],
    ['app:apache OR host:web1', true],
    ['-app:nginx', false],
    ['-app:apache', true],
    ['file:*access*', true],
    ['file:access.log.1', true],
    ['file:access.log', false],
    ['file:/var/log/nginx/access.log.1', true],
    ['file:/var/*/access*', true],
    ['file:nginx', false],
    ['level:ERROR', true],
    ['level:err', true],
    ['level:warn', false],
    ['level:e*', true],
    ['level:""', false],
    ['(level:warn OR level:error) x', true],
  ]
  for (const [query, found] of table) t.equal(finds(query, 'x', fields), found, query)
  t.equal(finds('level:""', 'x'), true)
  t.equal(finds('host:caf\u00c9', 'x', { host: 'caf\u00e9' }), true)
})

test('a query that is none is refused with the place and what to write instead', async t => {
  const table: [query: string, offset: number, message: RegExp][] = [
    ['a "b c', 2, /quote is not closed\. Add a closing "/],
    ['a "b\\"', 2, /not closed/],
    ['""', 0, /empty term/],
    ['a ()', 2, /nothing in "\(\)"/],
    ['(a OR b', 0, /"\(" is not closed/],
    ['a) b', 1, /closes nothing/],
    ['a OR', 2, /nothing follows OR/],
    ['OR a', 0, /term is missing/],
    ['a OR OR b', 5, /term is missing/],
    ['a AND b', 2, /AND is not an operator\. Leave it out/],
    ['NOT b', 0, /Write -term/],
    ['a -', 2, /"-" needs a term/],
    ['--flag', 0, /use quotes/],
    ['a*b', 0, /middle of a word/],
    ['a"b"', 1, /quote in the middle/],
    ['"a"b', 3, /right after a closing quote/],
    ['host: x', 0, /"host:" has no value/],
    ['level:eror', 0, /no level "eror"\. Levels are trace/],
    ['level:constructor', 0, /no level/],
    ['/var/log', 5, /"l" right after .* use quotes: "\/var\/log"/],
    ['/abc', 0, /without its closing/],
    ['//', 0, /empty regular/],
    ['x /(/', 2, /not a regular expression/],
    ['/(?=x)/', 0, /no look-around/],
    ['/(a)\\1/', 0, /no back references/],
    ['/(x{20}){30}/', 0, /too big/],
  ]
  for (const [query, offset, message] of table) {
    try {
      parseQuery(query)
      t.fail(`${query} was taken`)
    } catch (error) {
      t.ok(error instanceof QueryError, query)
      t.equal((error as QueryError).offset, offset, query)
      t.match((error as QueryError).message, message)
    }
  }
})

test('what was asked can be read from the tree', async t => {
  t.strictSame(parseQuery(' ').root, { kind: 'everything' })
  t.equal(parseQuery(' ').isEverything, true)
  t.equal(parseQuery('a').isEverything, false)
  t.strictSame(parseQuery('a -"b c" OR host:w*1 /x/i').root, {
    kind: 'any',
    of: [
      {
        kind: 'all',
        of: [
          { kind: 'text', text: 'a', startsWord: true, endsWord: true },
          { kind: 'not', of: { kind: 'text', text: 'b c', startsWord: true, endsWord: true } },
        ],
      },
      {
        kind: 'all',
        of: [
          { kind: 'field', field: 'host', parts: ['w', '1'] },
          { kind: 'regex', source: 'x', ignoreCase: true },
        ],
      },
    ],
  })
})

test('sizes are bounded: text, depth, terms, patterns', async t => {
  t.ok(parseQuery(`${'('.repeat(64)}a${')'.repeat(64)}`))
  t.throws(() => parseQuery(`${'('.repeat(65)}a${')'.repeat(65)}`), { name: 'QueryError' })
  t.throws(() => parseQuery('('.repeat(4000)), { name: 'QueryError' })
  t.ok(parseQuery('a '.repeat(256)))
  t.throws(() => parseQuery('a '.repeat(257)), { name: 'QueryError' })
  t.throws(() => parseQuery('\u6f22'.repeat(1366)), { name: 'QueryError' })
  t.throws(() => parseQuery('/\\pL{1,90}/ '.repeat(5)), { name: 'QueryError' })
  t.throws(() => parseQuery(`/${'(?:[\\pL\\pN]{500}|x{400})'.repeat(100)}/`), { name: 'QueryError' })
  t.throws(() => parseQuery(`/${'('.repeat(2000)}a${')'.repeat(2000)}/`), { name: 'QueryError' })
})

test('patterns that stall backtracking engines come to an end on the longest line', async t => {
  const line = Buffer.from('ab'.repeat(32 * 1024))
  const hostile = ['(a+)+$', '(x+x+)+y', '(a|aa)+$', '(.*a){20}c', '([ab]+)*c', '[ab]*a[ab]{200}c', '(a?){40}(a){40}c']
  for (const pattern of hostile) {
    t.equal(finds(`/${pattern}/`, line), false, pattern)
    t.equal(finds(`/${pattern}/i`, line), false, pattern)
  }
  t.equal(finds('b', Buffer.from(`${'ab'.repeat(32 * 1024)} b`)), true)
  t.equal(finds(`*${'a'.repeat(2000)}b*`, Buffer.alloc(64 * 1024, 'a')), false)
})

test('a block without the words asked for is passed over, one with them is not', async t => {
  const block = Buffer.from('one two\nthree CAF\u00c9\n')
  for (const query of [
    'four',
    'one four',
    'four OR five',
    '*four*',
    'qu\u00e9',
    '\u6f22',
    '"two three"',
    'one four -two',
  ]) {
    t.equal(parseQuery(query).couldMatch(block), false, query)
  }
  for (const query of [
    'one',
    'ONE three',
    'four OR one',
    '-one',
    'host:x',
    'four OR host:x',
    '/four/',
    '',
    'caf\u00e9',
  ]) {
    t.equal(parseQuery(query).couldMatch(block), true, query)
  }
  t.equal(parseQuery('three').nextCandidate(block, 0), 8)
  t.equal(parseQuery('three').nextCandidate(block, 9), -1)
  t.equal(parseQuery('-three').nextCandidate(block, 3), 3)
  t.equal(parseQuery('').nextCandidate(block, block.length), -1)
})

test('random queries over random lines answer as a slow and simple matcher does', async t => {
  const seed = Number(process.env.SEED ?? 20250301)
  t.comment(`SEED=${seed}`)
  const random = numbers(seed)
  const lines = someLines(random)
  let hits = 0
  for (let round = 0; round < 1500; round++) {
    const node = randomNode(random, lines, 3)
    const text = write(node)
    const query = parseQuery(text)
    if (!isDeepStrictEqual(query.root, node)) t.fail(`${text} is understood as ${JSON.stringify(query.root)}`)
    for (let i = 0; i < 25; i++) {
      const at = random(lines.length - 3)
      const block = Buffer.concat(lines.slice(at, at + 3).map(line => line.bytes))
      const candidate = query.nextCandidate(block, 0)
      let start = 0
      for (const line of lines.slice(at, at + 3)) {
        const expected = slowly(node, line)
        if (expected) hits++
        const end = start + line.bytes.length
        const isRight =
          query.matches(line) === expected &&
          (!expected || (query.couldMatch(block) && candidate >= 0 && (candidate < end || end === start)))
        if (!isRight) t.fail(`${text} in ${JSON.stringify(line.bytes.toString('latin1'))}: should be ${expected}`)
        start = end
      }
    }
  }
  t.ok(hits > 5_000, `${hits} were found`)
})

/** Letters that fold, join, stand alone or break: where implementations differ. */
const ALPHABET = [
  'a',
  'B',
  'b',
  'k',
  '1',
  '_',
  ' ',
  '.',
  '-',
  '"',
  '*',
  '\\',
  '/',
  '\u00e9',
  '\u00c9',
  '\u03c3',
  '\u03a3',
  '\u03c2',
]
ALPHABET.push('\u6f22', '\u30ab', '\u{1f600}', '\u{10400}', '\u{10428}', '\u212a', '\u0130', '\ufffd', '\u0301', '\0')

function someLines(random: (below: number) => number): Searchable[] {
  const lines: Searchable[] = []
  for (let i = 0; i < 600; i++) {
    const characters = Array.from({ length: random(14) }, () => ALPHABET[random(ALPHABET.length)])
    let bytes = Buffer.from(`${characters.join('')}\n`)
    const damage = random(8)
    if (damage < 2) bytes = bytes.subarray(random(bytes.length))
    if (damage === 2) bytes[random(bytes.length)] = random(256)
    lines.push({ ...event(bytes), host: `web${random(3)}`, app: ['nginx', 'sshd', ''][random(3)] })
  }
  const folder = '../shared/data'
  const files = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.log')) : []
  for (const name of files) {
    const all = readFileSync(`${folder}/${name}`)
      .subarray(0, 20_000)
      .toString('latin1')
      .split(/(?<=\n)/)
    lines.push(
      ...all.slice(0, 60).map(line => event(Buffer.from(line, 'latin1'), { host: 'web1', path: `/var/log/${name}` })),
    )
  }
  return lines
}

function randomNode(random: (below: number) => number, lines: Searchable[], depth: number): QueryNode {
  const kind = depth === 0 ? random(4) : random(7)
  const inner = () => randomNode(random, lines, depth - 1)
  if (kind === 4) return { kind: 'not', of: unless('not', inner) }
  if (kind === 5) return { kind: 'all', of: [unless('all', inner), unless('all', inner)] }
  if (kind === 6) return { kind: 'any', of: [unless('any', inner), unless('any', inner)] }
  if (kind === 3) return { kind: 'field', field: 'host', parts: [['web1'], ['w', '2'], ['', 'eb', '']][random(3)] }
  const line = [...lines[random(lines.length)].bytes.toString('utf8').replaceAll('\n', '')]
  const from = random(line.length + 1)
  const text = line.slice(from, from + 1 + random(6)).join('') || 'a'
  return { kind: 'text', text, startsWord: random(2) === 0, endsWord: random(2) === 0 }
}

/** The parser makes flat lists: no list stands directly in one of its kind. */
function unless(kind: QueryNode['kind'], make: () => QueryNode): QueryNode {
  let node = make()
  while (node.kind === kind) node = make()
  return node
}

function write(node: QueryNode): string {
  switch (node.kind) {
    case 'text':
      return `${node.startsWord ? '' : '*'}"${node.text.replace(/["\\]/g, '\\$&')}"${node.endsWord ? '' : '*'}`
    case 'field':
      return `${node.field}:${node.parts.join('*')}`
    case 'not':
      return `-(${write(node.of)})`
    case 'all':
      return node.of.map(part => (part.kind === 'any' ? `(${write(part)})` : write(part))).join(' ')
    case 'any':
      return node.of.map(write).join(' OR ')
    case 'regex':
      return `/${node.source}/`
    case 'template':
      return `template:${node.id}`
    case 'everything':
      return '*'
  }
}

function slowly(node: QueryNode, line: Searchable): boolean {
  switch (node.kind) {
    case 'text':
      return slowText(node, line.bytes.toString('utf8').replace(/\r?\n$/, ''))
    case 'field':
      return new RegExp(`^${node.parts.join('.*')}$`).test(line.host)
    case 'not':
      return !slowly(node.of, line)
    case 'all':
      return node.of.every(part => slowly(part, line))
    case 'any':
      return node.of.some(part => slowly(part, line))
    case 'regex':
      return new RegExp(node.source).test(line.bytes.toString('utf8'))
    case 'template':
      return shapeIdOf(line.bytes) === node.id
    case 'everything':
      return true
  }
}

/** Character by character, nothing prepared. */
function slowText(node: QueryNode & { kind: 'text' }, text: string): boolean {
  const line = [...text].map(lower)
  const sought = [...node.text].map(lower)
  for (let at = 0; at + sought.length <= line.length; at++) {
    if (sought.some((character, i) => line[at + i] !== character)) continue
    const after = at + sought.length
    if (node.startsWord && isPartOfWord(sought[0]) && isPartOfWord(line[at - 1])) continue
    if (node.endsWord && isPartOfWord(sought[sought.length - 1]) && isPartOfWord(line[after])) continue
    return true
  }
  return false
}

function lower(character: string): string {
  const folded = character.toLowerCase()
  const staysOne = [...folded].length === 1 && folded.charCodeAt(0) < 128 === character.charCodeAt(0) < 128
  return staysOne ? folded : character
}

function isPartOfWord(character: string | undefined): boolean {
  if (character === undefined || /\p{scx=Han}|\p{scx=Hira}|\p{scx=Kana}/u.test(character)) return false
  return /[\p{L}\p{N}\p{M}_]/u.test(character)
}

/** Whole numbers below a bound, the same for the same seed (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * below)
  }
}
