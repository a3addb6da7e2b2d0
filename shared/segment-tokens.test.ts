import { test } from 'tap'
import { seededFraction } from '../bin/samples.ts'
import { sampleFiles } from '../test/real-lines.test-support.ts'
import { columnsCodec, createCodec, MODES } from './columns/codec.ts'
import { openJsCore, openWasmCore } from './columns/target.ts'
import { Dice, logTexts, rounds, wildText } from './columns/texts.test-support.ts'
import { createNeedle } from './query/needle.ts'
import { TokenFilter, TokenSet, tokensSought } from './segment-tokens.ts'

const SEED = Number(process.env.BUCKTAIL_SEED ?? Date.now() % 1_000_000)
/** A body so large that all tokens find room in the filter. */
const ROOMY_BYTES = 16 * 1024 * 1024

function blockOf(lines: Buffer[]): { bytes: Buffer; ends: Uint32Array } {
  let end = 0
  const ends = Uint32Array.from(lines, line => {
    end += line.length
    return end
  })
  return { bytes: Buffer.concat(lines), ends }
}

function filterOf(lines: Buffer[], bodyBytes = ROOMY_BYTES): TokenFilter | undefined {
  const bytes = TokenSet.of(blockOf(lines)).encode(bodyBytes)
  return bytes && TokenFilter.decode(bytes)
}

const texts = (...lines: string[]) => lines.map(line => Buffer.from(line))

function couldMatch(filter: TokenFilter, text: string, startsWord = true, endsWord = true): boolean {
  return tokensSought(text, startsWord, endsWord).every(token => filter.couldHold(token))
}

test('a word that is nowhere in a block is surely not, whatever joins on to others like it', async t => {
  const filter = filterOf(texts('GET /cart?id=x77 blk_123 caf\u00e9 na\u00efve\r\n', 'seen Quokka7f3a\n'))!
  for (const word of [
    'get',
    'CART',
    'cart id',
    'x77',
    'blk_123',
    'caf\u00e9',
    'quokka7f3a',
    '/cart',
    'seen quokka7F3A',
  ]) {
    t.ok(couldMatch(filter, word), word)
  }
  const absent = ['ge', 'carts', 'x7', 'blk', 'quokka', 'wombat', 'seen wombat', 'wombat quokka7f3a', 'y7', 'id7']
  const wrong = absent.filter(word => couldMatch(filter, word))
  t.ok(wrong.length <= 1, `one of 256 may be taken for another: ${wrong}`)
})

test('where no word has to begin or end, what may be part of a longer one proves nothing', async t => {
  const filter = filterOf(texts('one middle three\n'))!
  t.ok(couldMatch(filter, 'iddl', false, false))
  t.ok(couldMatch(filter, 'ddle three', false, true))
  t.ok(couldMatch(filter, 'one mid', true, false))
  t.notOk(couldMatch(filter, 'dle four', false, true))
  t.notOk(couldMatch(filter, 'x two y', false, false), 'what lies between is whole')
})

test('numbers and pieces of time stamps are not in the filter: they could be everywhere', async t => {
  const filter = filterOf(texts('2026-03-01T00:00:00.123Z 4711\n'))!
  for (const word of ['4711', '4712', '01t00', '02T00', '123z', '124Z', '9t', 't9'])
    t.ok(couldMatch(filter, word), word)
  for (const word of ['1z2', 'z1', '1t2t3', 'z', 't']) t.notOk(couldMatch(filter, word), word)
  t.equal(TokenSet.of(blockOf(texts('2026-03-01T00:00:00.123Z 4711\n'))).size, 0)
})

test('the end of an event that ends no line ends its last word too', async t => {
  const filter = filterOf(texts('first piece ends in fox', 'trot begins the second', 'last\n'))!
  for (const word of ['fox', 'trot', 'second', 'last']) t.ok(couldMatch(filter, word), word)
  t.notOk(couldMatch(filter, 'foxtrot'))
})

test('a filter is at most 8 % of its block: ids are left out first, then there is none', async t => {
  const lines = Array.from({ length: 3000 }, (_, i) =>
    Buffer.from(`word${String.fromCharCode(97 + (i % 26))} id${i}x\n`),
  )
  const room = (bodyBytes: number) => TokenSet.of(blockOf(lines)).encode(bodyBytes)
  for (const bodyBytes of [100_000, 40_000, 10_000, 3000]) {
    const bytes = room(bodyBytes)
    t.ok(bytes && bytes.length <= bodyBytes * 0.08, `${bytes?.length} of ${bodyBytes}`)
  }
  t.equal(room(200), undefined)
  const words = TokenFilter.decode(room(3000)!)!
  t.ok(couldMatch(words, 'id77777x'), 'unknown is possible')
  t.notOk(couldMatch(words, 'wombat'))
})

test('a filter never says no to what the search would find', async t => {
  const random = seededFraction(SEED)
  const upTo = (most: number) => Math.floor(random() * most)
  let found = 0
  let proven = 0
  for (const { name, text } of sampleFiles(random, 40_000).files) {
    const lines: Buffer[] = []
    for (let at = 0; at < text.length; ) {
      // Now and then an event is cut within a line.
      const end = random() < 0.05 ? at + 1 + upTo(60) : text.indexOf(0x0a, at) + 1
      lines.push(text.subarray(at, end > at ? end : undefined))
      at += lines[lines.length - 1].length
    }
    const filter = filterOf(lines)
    if (!filter) throw new Error('no filter')
    for (let i = 0; i < 300; i++) {
      const line = lines[upTo(lines.length)].toString()
      const from = upTo(line.length)
      const characters = [...line.slice(from, from + 1 + upTo(20))]
      if (random() < 0.3) characters[upTo(characters.length)] = String.fromCharCode(32 + upTo(300))
      const piece = characters.join('')
      const sought = random() < 0.5 ? piece.toUpperCase() : piece
      if (sought === '') continue
      const [startsWord, endsWord] = [random() < 0.5, random() < 0.5]
      const needle = createNeedle(sought, startsWord, endsWord)
      const occurs = lines.some(bytes => needle.occursIn(bytes, bytes.length))
      if (occurs) found++
      const could = couldMatch(filter, sought, startsWord, endsWord)
      if (!could) proven++
      if (occurs && !could) t.fail(`${name}: ${JSON.stringify({ sought, startsWord, endsWord })}, seed ${SEED}`)
    }
  }
  t.ok(found > 500 && proven > 50, `${found} found, ${proven} surely not there, seed ${SEED}`)
})

test('the codec tells the tokens that a scan of all bytes finds', async t => {
  const random = seededFraction(SEED)
  for (const { name, text } of sampleFiles(random, 60_000).files) {
    for (const mode of MODES) {
      const tokens = columnsCodec().encode(text, { mode, tokens: true })?.analysis.tokens
      if (!tokens) continue
      const events = { bytes: text, ends: Uint32Array.of(text.length) }
      const [quick, slow] = [TokenSet.of(events, tokens).hashes, TokenSet.of(events).hashes]
      const lacking = slow.filter(hash => !quick.includes(hash)).length
      // Names of all months where one is met in a time stamp.
      if (lacking > 0 || quick.length > slow.length + 11) {
        t.fail(`${name}, ${mode}: ${lacking} of ${slow.length} are lacking, ${quick.length} found, seed ${SEED}`)
      }
    }
  }
  const cut = blockOf([Buffer.from('a1 first fox'), Buffer.from('trot a2\n'), Buffer.from('a1 first bull\n')])
  const tokens = columnsCodec().encode(cut.bytes, { tokens: true })?.analysis.tokens
  const hashes = new Set(TokenSet.of(cut, tokens).hashes)
  for (const word of ['fox', 'trot', 'a2', 'bull']) t.ok(hashes.has(tokensSought(word, true, true)[0].hash), word)
})

test('of any text either form of the codec tells all tokens, and none that is not there', { timeout: 0 }, t => {
  const forms = [openWasmCore() ?? openJsCore(), openJsCore()].map(createCodec)
  const logs = logTexts(30_000)
  const months = new Set(
    'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ').map(name => tokensSought(name, true, true)[0].hash),
  )
  let told = 0
  for (const round of rounds(300, 20)) {
    const text = wildText(new Dice(SEED + round), logs)
    const events = { bytes: text, ends: Uint32Array.of(text.length) }
    const scanned = new Set(TokenSet.of(events).hashes)
    for (const mode of MODES) {
      const [quick, plain] = forms.map(codec => {
        const tokens = codec.encode(text, { mode, tokens: true })?.analysis.tokens
        return tokens && TokenSet.of(events, tokens).hashes
      })
      if (!quick) continue
      t.strictSame(quick, plain)
      const found = new Set(quick)
      const lacking = [...scanned].filter(hash => !found.has(hash)).length
      const wrong = quick.filter(hash => !scanned.has(hash) && !months.has(hash)).length
      if (lacking + wrong > 0) t.fail(`${mode}: ${lacking} lacking, ${wrong} wrong; seed ${SEED}, round ${round}`)
      told += quick.length
    }
  }
  t.ok(told > 0, `${told} tokens, seed ${SEED}`)
  t.end()
})

test('of more tokens than a filter could hold the codec tells none, and takes no more memory', t => {
  const core = openWasmCore() ?? openJsCore()
  const codec = createCodec(core)
  const letters = (n: number) => n.toString().replace(/\d/g, digit => 'abcdefghij'[Number(digit)])
  const text = (word: (n: number) => string) =>
    Buffer.from(Array.from({ length: 300_000 }, (_, n) => `${word(n)}\n`).join(''))
  const encode = (bytes: Buffer) => {
    const tokens = codec.encode(bytes, { tokens: true })?.analysis.tokens
    if (!tokens) throw new Error('columns do not take the text')
    t.ok(core.memory.byteLength <= 10 * bytes.length, `${core.memory.byteLength / bytes.length} bytes per byte`)
    return TokenSet.of({ bytes, ends: Uint32Array.of(bytes.length) }, tokens).encode(ROOMY_BYTES)
  }
  const padding = 'one of three hundred'
  t.ok(encode(Buffer.from(`${padding} a1\n`.repeat(10_000))))
  t.equal(encode(text(n => `${letters(n)} ${letters(n)}x ${letters(n)}y`)), undefined, 'words')
  const words = encode(text(n => `${padding.slice(n & 3)} ${n}a ${n}b ${n}c`))
  t.equal(words?.[0], 1, 'scope: words only')
  t.end()
})

test('what is no filter says so', async t => {
  const bytes = TokenSet.of(blockOf(texts('some words\n'))).encode(ROOMY_BYTES)!
  for (let length = 0; length < bytes.length; length++)
    t.equal(TokenFilter.decode(bytes.subarray(0, length)), undefined)
  t.equal(TokenFilter.decode(Buffer.concat([Buffer.from([9]), bytes.subarray(1)])), undefined, 'an unknown scope')
})
