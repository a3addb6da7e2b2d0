// From our query language to Elasticsearch's. What comes out finds at least what the query matches (candidates); the
// matcher itself then decides on each, so the same queries give the same events everywhere. Where candidates are exactly
// the matches, `isExact` says so: sums may then be left to Elasticsearch, and a negation can be asked.
//
//   word                 term over bucktail.words                                        exact
//   "a phrase"           all its words                                                   candidates
//   *part*, begin*       wildcard over the words, for the longest run of letters in it   candidates
//   only punctuation     everything                                                      candidates
//   host: app: level:    keyword, either case                                            exact for ASCII
//   /regular/            a text that it must contain, like *part*; else everything       candidates
import { asksForDropped } from '../dropped.ts'
import { fold, isAscii } from '../query/letters.ts'
import type { QueryField, QueryNode } from '../query/syntax.ts'
import { requiredText } from '../search/literals.ts'
import type { EventQuestion } from '../stores.ts'
import { runsOf, WORD_LENGTH_MAX } from './words.ts'

export type Dsl = Record<string, unknown>

export interface Candidates {
  query: Dsl
  isExact: boolean
}

const ALL: Dsl = { match_all: {} }
const IS_WIDE: Dsl = { term: { 'bucktail.wide': true } }
const FIELDS: Record<QueryField, string> = {
  host: 'host.name',
  app: 'service.name',
  file: 'log.file.path',
  level: 'log.level',
}

/** Everything of the question but the order. */
export function candidatesOf(question: EventQuestion): Candidates {
  const { query, sinceNs, untilNs, host, app, level, file, source, offsets } = question
  const parts = [candidatesOfNode(query.root)]
  const exactly = (query: Dsl) => parts.push({ query, isExact: true })
  if (sinceNs !== undefined || untilNs !== undefined) parts.push(timeRange(sinceNs, untilNs))
  if (host) exactly({ term: { 'host.name': host } })
  if (app) exactly({ term: { 'service.name': app } })
  if (level) exactly({ term: { 'log.level': level } })
  if (!asksForDropped(question)) exactly({ bool: { must_not: [{ term: { 'log.level': 'dropped' } }] } })
  if (source) exactly({ term: { 'bucktail.source': source } })
  if (source && offsets) exactly({ range: { 'log.offset': { gte: offsets[0], lt: offsets[1] } } })
  if (file) parts.push(fileCandidates(file))
  return all(parts)
}

/** The rest of the question is asked of each candidate: `requestFilter` and the exact times. */
export function candidatesOfNode(node: QueryNode): Candidates {
  switch (node.kind) {
    case 'everything':
      return { query: ALL, isExact: true }
    case 'all':
      return all(node.of.map(candidatesOfNode))
    case 'any': {
      const parts = node.of.map(candidatesOfNode)
      const isExact = parts.every(part => part.isExact)
      return { query: { bool: { should: parts.map(part => part.query), minimum_should_match: 1 } }, isExact }
    }
    case 'not': {
      const { query, isExact } = candidatesOfNode(node.of)
      // What is not among candidates does not match; but a candidate may not match either.
      return isExact ? { query: { bool: { must_not: [query] } }, isExact } : { query: ALL, isExact: false }
    }
    case 'text':
      return textCandidates(fold(node.text.toWellFormed()), node.startsWord, node.endsWord)
    case 'field':
      return fieldCandidates(node.field, node.parts)
    case 'regex': {
      const text = requiredText(node.source, node.ignoreCase)
      return text === undefined
        ? { query: ALL, isExact: false }
        : { ...textCandidates(fold(text), false, false), isExact: false }
    }
    default:
      return { query: ALL, isExact: false }
  }
}

function all(parts: Candidates[]): Candidates {
  const filter = parts.map(part => part.query).filter(query => query !== ALL)
  const isExact = parts.every(part => part.isExact)
  return { query: filter.length === 0 ? ALL : { bool: { filter } }, isExact }
}

function textCandidates(folded: string, startsWord: boolean, endsWord: boolean): Candidates {
  const runs = runsOf(folded)
  const filter: Dsl[] = []
  let isExact = runs.length === 1 && runs[0].word === folded
  // Wildcards walk all words of an index: one of them is enough, and none if a whole word is asked for as well.
  let widest: { query: Dsl; length: number } | undefined
  for (const { word, at } of runs) {
    // A character that stands by itself (Chinese) is a word whatever is beside it.
    const isBoundedBefore = at > 0 || startsWord || isAlone(word)
    const isBoundedBehind = at + word.length < folded.length || endsWord || isAlone(word)
    if (word.length > WORD_LENGTH_MAX) {
      filter.push(IS_WIDE)
      isExact = false
    } else if (isBoundedBefore && isBoundedBehind) {
      filter.push({ term: { 'bucktail.words': word } })
    } else {
      isExact = false
      const ofWord = isBoundedBefore
        ? { prefix: { 'bucktail.words': word } }
        : { wildcard: { 'bucktail.words': `*${word}${isBoundedBehind ? '' : '*'}` } }
      if (word.length > (widest?.length ?? 0))
        widest = { query: { bool: { should: [ofWord, IS_WIDE] } }, length: word.length }
    }
  }
  if (widest && filter.length === 0) filter.push(widest.query)
  if (filter.length === 0) return { query: ALL, isExact: false }
  return { query: filter.length === 1 ? filter[0] : { bool: { filter } }, isExact }
}

function isAlone(word: string): boolean {
  const beside = runsOf(`${word}a`)
  return beside.length === 2
}

function fieldCandidates(field: QueryField, parts: string[]): Candidates {
  const name = FIELDS[field]
  if (parts.length === 1 && parts[0] === '') {
    return { query: { bool: { must_not: [{ exists: { field: name } }] } }, isExact: true }
  }
  if (parts.every(part => part === '')) return { query: ALL, isExact: true }
  const isExact = parts.every(isAscii)
  const pattern = parts.map(part => literally(part).replace(/[^\x00-\x7f]+/g, '*')).join('*')
  const fits = (value: string) => ({ wildcard: { [name]: { value, case_insensitive: true } } })
  const isName = field === 'file' && !pattern.includes('/')
  const query = isName ? { bool: { should: [fits(pattern), fits(`*/${pattern}`)] } } : fits(pattern)
  // With stars, `*/pattern` may reach over folders where the last part alone is meant.
  return { query, isExact: isExact && (!isName || parts.length === 1) }
}

function fileCandidates(file: string): Candidates {
  if (!/[*?[]/.test(file)) return { query: { wildcard: { 'log.file.path': `*${literally(file)}*` } }, isExact: true }
  // A glob: the longest text that stands in it as it is. Letters of braces, brackets and groups may be alternatives.
  const plain = /[[\]{}()!+@|\\]/.test(file) ? [] : file.split(/\/?[*?]+\/?/).sort((a, b) => b.length - a.length)
  const longest = plain[0] ?? ''
  const query = longest === '' ? ALL : { wildcard: { 'log.file.path': `*${literally(longest)}*` } }
  return { query, isExact: false }
}

/** Times before 1970 stand as 1970 in the index: bounds there take all of those, and the exact time decides. */
function timeRange(sinceNs: bigint | undefined, untilNs: bigint | undefined): Candidates {
  // Never without a beginning: a histogram over nanoseconds fails on that (seen with 9.5).
  const range: Dsl = { gte: isoOf(sinceNs !== undefined && sinceNs > 0n ? sinceNs : 0n) }
  if (untilNs !== undefined) {
    if (untilNs > 0n) range.lt = isoOf(untilNs)
    else range.lte = '1970-01-01T00:00:00Z'
  }
  const reachesBefore1970 = (sinceNs !== undefined && sinceNs <= 0n) || (untilNs !== undefined && untilNs <= 0n)
  return {
    query: Object.keys(range).length > 0 ? { range: { '@timestamp': range } } : ALL,
    isExact: !reachesBefore1970,
  }
}

function isoOf(timeNs: bigint): string {
  const seconds = timeNs / 1_000_000_000n
  const fraction = String(timeNs % 1_000_000_000n).padStart(9, '0')
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`
}

function literally(text: string): string {
  return text.replace(/[*?\\]/g, '\\$&')
}
