// The query language, the same for live, search, archive and alerts. docs/query-language.md tells it to users.
//
//   query  = any                                   nothing, or only white space: everything
//   any    = all { "OR" all }
//   all    = term { term }                         every term must hold
//   term   = [ "-" ] ( "(" any ")" | field | template | regex | text )
//   field  = ( "host" | "app" | "file" | "level" ) ":" pattern
//   template = "template:" 16 hexadecimal digits
//   regex  = "/" … "/" [ "i" ]
//   text   = [ "*" ] ( word | '"' phrase '"' ) [ "*" ]
//
// Text is matched on the line's bytes without its line end: as UTF-8, letters of either case alike, bytes that are not
// UTF-8 as characters that no query can name. shared/query/syntax.ts parses, shared/query/matcher.ts matches.
import { compileMatcher } from './query/matcher.ts'
import { parseSyntax, type QueryNode } from './query/syntax.ts'

/** What a query looks at; FoundEvent of shared/events.ts is one. */
export interface Searchable {
  bytes: Buffer
  host: string
  app: string
  level: string
  path: string
}

export interface Query {
  readonly text: string
  /** For those who filter elsewhere (Elasticsearch) and for showing what was understood. */
  readonly root: QueryNode
  /** Nothing is asked: every event matches. */
  readonly isEverything: boolean
  matches(event: Searchable): boolean
  /**
   * False only if no event whose bytes lie in `text` can match: the block is passed over with one scan.
   * @param text  bytes of any number of events, end to end
   */
  couldMatch(text: Buffer): boolean
  /**
   * An offset ≥ `from` such that no event that ends at or before it and begins at or after `from` matches; -1 if none up
   * to the end does. The event around the offset may match: ask `matches`, then go on from its end.
   */
  nextCandidate(text: Buffer, from: number): number
}

/** @throws QueryError (shared/query/syntax.ts), with the offset and what to write instead */
export function parseQuery(text: string): Query {
  const root = parseSyntax(text)
  const matcher = compileMatcher(root)
  return { text, root, isEverything: root.kind === 'everything', ...matcher }
}
