// From the tree of a query to functions over events and blocks of text. Everything is compiled once.
import type { Query, Searchable } from '../query.ts'
import { shapeIdOf } from '../search/shape.ts'
import { fold } from './letters.ts'
import { createNeedle, type Needle } from './needle.ts'
import { compilePattern } from './pattern.ts'
import type { QueryField, QueryNode } from './syntax.ts'

/** `end`: of the line in `event.bytes`, without its line end. */
type Test = (event: Searchable, end: number) => boolean

interface Compiled {
  test: Test
  /** Whether an event in this text could pass; undefined: nothing can be said from the text alone. */
  couldMatch?: (text: Buffer) => boolean
  /** Occurs in every event that passes; undefined: there is no such text. */
  required?: Needle
  /** Cheap tests go first. Fields 0, text 1, regular expressions 2. */
  cost: number
}

export function compileMatcher(root: QueryNode): Pick<Query, 'matches' | 'couldMatch' | 'nextCandidate'> {
  const { test, couldMatch, required } = compile(root)
  return {
    matches: event => test(event, lineEnd(event.bytes)),
    couldMatch: text => couldMatch === undefined || couldMatch(text),
    nextCandidate: (text, from) => {
      if (from >= text.length) return -1
      return required === undefined ? from : required.nextCandidate(text, from)
    },
  }
}

function compile(node: QueryNode): Compiled {
  switch (node.kind) {
    case 'everything':
      return { test: () => true, cost: 0 }
    case 'not': {
      const { test, cost } = compile(node.of)
      return { test: (event, end) => !test(event, end), cost }
    }
    case 'text': {
      const needle = createNeedle(node.text, node.startsWord, node.endsWord)
      return {
        test: (event, end) => needle.occursIn(event.bytes, end),
        couldMatch: text => needle.nextCandidate(text, 0) >= 0,
        required: needle.scanBytes > 0 ? needle : undefined,
        cost: 1,
      }
    }
    case 'field':
      return { test: fieldTest(node.field, node.parts), cost: 0 }
    case 'regex': {
      const pattern = compilePattern(node.source, node.ignoreCase)
      return { test: (event, end) => pattern.isIn(event.bytes.toString('utf8', 0, end)), cost: 2 }
    }
    case 'template':
      return { test: event => shapeIdOf(event.bytes) === node.id, cost: 1 }
    case 'all':
      return all(node.of.map(compile))
    case 'any':
      return any(node.of.map(compile))
  }
}

function all(parts: Compiled[]): Compiled {
  const tests = parts.toSorted((a, b) => a.cost - b.cost).map(part => part.test)
  const blocks = parts.flatMap(part => part.couldMatch ?? [])
  let required: Needle | undefined
  for (const part of parts) {
    if (part.required && part.required.scanBytes > (required?.scanBytes ?? 0)) required = part.required
  }
  return {
    test: (event, end) => {
      for (const test of tests) if (!test(event, end)) return false
      return true
    },
    couldMatch: blocks.length > 0 ? text => blocks.every(block => block(text)) : undefined,
    required,
    cost: Math.max(...parts.map(part => part.cost)),
  }
}

function any(parts: Compiled[]): Compiled {
  const tests = parts.toSorted((a, b) => a.cost - b.cost).map(part => part.test)
  const blocks = parts.flatMap(part => part.couldMatch ?? [])
  return {
    test: (event, end) => {
      for (const test of tests) if (test(event, end)) return true
      return false
    },
    // One part that can say nothing about a text makes every text possible.
    couldMatch: blocks.length === parts.length ? text => blocks.some(block => block(text)) : undefined,
    cost: Math.max(...parts.map(part => part.cost)),
  }
}

/** Looks at the fields only. */
export function fieldTest(field: QueryField, parts: string[]): Test {
  const folded = parts.map(fold)
  // Events come in runs with the same host, path and app: the last answer mostly holds for the next.
  let lastValue: string | undefined
  let lastAnswer = false
  return event => {
    const value = field === 'file' ? event.path : event[field]
    if (value === lastValue) return lastAnswer
    lastValue = value
    const text = fold(value)
    lastAnswer = fits(text, folded)
    // A file may be named without its folders.
    if (!lastAnswer && field === 'file') lastAnswer = fits(text.slice(text.lastIndexOf('/') + 1), folded)
    return lastAnswer
  }
}

/** `parts` in this order with anything between them, nothing before the first and after the last. */
function fits(text: string, parts: string[]): boolean {
  const first = parts[0]
  const last = parts[parts.length - 1]
  if (parts.length === 1) return text === first
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  let at = first.length
  const end = text.length - last.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

function lineEnd(bytes: Buffer): number {
  let end = bytes.length
  if (end > 0 && bytes[end - 1] === 0x0a) {
    end--
    if (end > 0 && bytes[end - 1] === 0x0d) end--
  }
  return end
}
