// What is asked of Elasticsearch for a query, without one: the rest is in test/engines/elastic-search.test.ts.
import { test } from 'tap'
import { parseQuery } from '../query.ts'
import { ByteText } from './byte-text.ts'
import { candidatesOfNode } from './query-dsl.ts'
import { appendAsciiWords, type Words, wordsOf } from './words.ts'

const of = (text: string) => candidatesOfNode(parseQuery(text).root)
const term = (word: string) => ({ term: { 'bucktail.words': word } })

function asciiWords(line: string): Words {
  const into = new ByteText(1)
  const isWide = appendAsciiWords(into, Buffer.from(line), 0, line.length)
  return { text: into.bytes().toString(), isWide }
}

test('words are those of the query language, whichever way they are made', async t => {
  const line = 'GET /a_b?x=Auth.Failed 10.0.0.1 [sshd]: "it\'s"'
  const quick = asciiWords(line).text.split(' ')
  t.same(quick, ['get', 'a_b', 'x', 'auth', 'failed', '10', '0', '0', '1', 'sshd', 'it', 's'])
  t.same(wordsOf(line).text.split(' '), quick)
  t.equal(wordsOf('GRÜN 数据库 naïve').text, 'grün 数 据 库 naïve')
  for (const made of [wordsOf(`a ${'x'.repeat(201)} b`), asciiWords(`a ${'x'.repeat(201)} b`)]) {
    t.same([made.text.split(' '), made.isWide], [['a', 'b'], true], 'what is no word is left out and told')
  }
})

test('a whole word is exact, and so is its negation', async t => {
  t.same(of('Failed'), { query: term('failed'), isExact: true })
  t.same(of('-failed'), { query: { bool: { must_not: [term('failed')] } }, isExact: true })
})

test('a phrase has all its words in its candidates; its negation has everything', async t => {
  const phrase = of('"auth.failed for"')
  t.same(phrase, { query: { bool: { filter: ['auth', 'failed', 'for'].map(term) } }, isExact: false })
  t.same(of('-"auth.failed for"'), { query: { match_all: {} }, isExact: false })
  t.same(of('"--"'), { query: { match_all: {} }, isExact: false })
})

test('parts of words also look at lines with words that are too long to be words', async t => {
  const part = { wildcard: { 'bucktail.words': '*imeou*' } }
  const wide = { term: { 'bucktail.wide': true } }
  t.same(of('*imeou*'), { query: { bool: { should: [part, wide] } }, isExact: false })
  t.same(of('/x.*imeou.?/'), { query: { bool: { should: [part, wide] } }, isExact: false })
})

test('a file by its name alone, or by its path', async t => {
  const fits = (value: string) => ({ wildcard: { 'log.file.path': { value, case_insensitive: true } } })
  t.same(of('file:a.log'), { query: { bool: { should: [fits('a.log'), fits('*/a.log')] } }, isExact: true })
  t.same(of('file:/var/a.log'), { query: fits('/var/a.log'), isExact: true })
  t.same(of('level:""'), { query: { bool: { must_not: [{ exists: { field: 'log.level' } }] } }, isExact: true })
})
