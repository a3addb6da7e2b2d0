// A query as a search over blocks asks it: of the filter of a block's words, then of its columns. What neither can tell
// is asked of the query itself, event by event.
import { fieldTest } from '../query/matcher.ts'
import { createNeedle, type Needle } from '../query/needle.ts'
import type { QueryField, QueryNode } from '../query/syntax.ts'
import type { Query } from '../query.ts'
import { type SoughtToken, type TokenFilter, tokensSought } from '../segment-tokens.ts'
import { requiredText } from './literals.ts'
import { allOf, and, isNone, maybeOnly, not, or, unknown, type Verdict } from './verdict.ts'

/** What a plan asks of a block; verdicts are over its events. */
export interface JudgedBlock {
  readonly events: number
  withText(needle: Needle): Verdict
  withField(field: QueryField, test: FieldTest): Verdict
  ofTemplate(id: string): Verdict
}

export type FieldTest = (fields: { host: string; app: string; level: string; path: string }) => boolean

type Node =
  | { kind: 'everything' }
  | { kind: 'all' | 'any'; of: Node[] }
  | { kind: 'not'; of: Node }
  | { kind: 'text'; needle: Needle; tokens: SoughtToken[]; isMaybe: boolean }
  | { kind: 'field'; field: QueryField; test: FieldTest }
  | { kind: 'template'; id: string }
  | { kind: 'unknown' }

export class Plan {
  readonly #root: Node
  /** False: no filter of words can tell anything, none needs to be read. */
  readonly asksFilters: boolean

  constructor(query: Query) {
    this.#root = planned(query.root)
    this.asksFilters = hasTokens(this.#root)
  }

  /** False: surely no event of the block matches. */
  couldMatch(filter: TokenFilter): boolean {
    return couldHold(this.#root, filter)
  }

  verdict(block: JudgedBlock): Verdict {
    return verdictOf(this.#root, block)
  }
}

function planned(node: QueryNode): Node {
  switch (node.kind) {
    case 'everything':
      return node
    case 'all':
    case 'any':
      return { kind: node.kind, of: node.of.map(planned).sort((a, b) => costOf(a) - costOf(b)) }
    case 'not':
      return { kind: 'not', of: planned(node.of) }
    case 'text': {
      const { text, startsWord, endsWord } = node
      const needle = createNeedle(text, startsWord, endsWord)
      return { kind: 'text', needle, tokens: tokensSought(text, startsWord, endsWord), isMaybe: false }
    }
    case 'field': {
      const test = fieldTest(node.field, node.parts)
      return { kind: 'field', field: node.field, test: fields => test({ bytes: NOTHING, ...fields }, 0) }
    }
    case 'regex': {
      const text = requiredText(node.source, node.ignoreCase)
      if (text === undefined) return { kind: 'unknown' }
      return {
        kind: 'text',
        needle: createNeedle(text, false, false),
        tokens: tokensSought(text, false, false),
        isMaybe: true,
      }
    }
    case 'template':
      return node
  }
}

const NOTHING = Buffer.alloc(0)

/** Cheap and telling ones first. */
function costOf(node: Node): number {
  switch (node.kind) {
    case 'everything':
      return 0
    case 'field':
      return 1
    case 'text':
      return node.needle.sought ? 2 : 5
    case 'template':
      return 3
    case 'unknown':
      return 5
    default:
      return 4
  }
}

function hasTokens(node: Node): boolean {
  if (node.kind === 'text') return node.tokens.length > 0
  // What is not there proves nothing about a line that must not have it.
  if (node.kind === 'all') return node.of.some(hasTokens)
  return node.kind === 'any' && node.of.every(hasTokens)
}

function couldHold(node: Node, filter: TokenFilter): boolean {
  if (node.kind === 'text') return node.tokens.every(token => filter.couldHold(token))
  if (node.kind === 'all') return node.of.every(part => couldHold(part, filter))
  return node.kind !== 'any' || node.of.some(part => couldHold(part, filter))
}

function verdictOf(node: Node, block: JudgedBlock): Verdict {
  switch (node.kind) {
    case 'everything':
      return allOf(block.events)
    case 'unknown':
      return unknown(block.events)
    case 'not':
      return not(verdictOf(node.of, block))
    case 'text': {
      const verdict = block.withText(node.needle)
      return node.isMaybe ? maybeOnly(verdict) : verdict
    }
    case 'field':
      return block.withField(node.field, node.test)
    case 'template':
      return block.ofTemplate(node.id)
    case 'all': {
      let verdict: Verdict | undefined
      for (const part of node.of) {
        verdict = verdict ? and(verdict, verdictOf(part, block)) : verdictOf(part, block)
        if (isNone(verdict)) break
      }
      return verdict ?? allOf(block.events)
    }
    case 'any':
      return node.of.map(part => verdictOf(part, block)).reduce(or)
  }
}
