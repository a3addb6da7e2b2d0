// What a live viewer (the page, `bucktail tail`) and a buck say to each other over socket.io. docs/live.md tells it in words.
//
//   viewer ──▶ filter (LiveFilter)           answered by FilterAnswer; again at any time to change it
//   buck   ──▶ hello (LiveHello)             once per connection
//   buck   ──▶ events (LiveBatch)            answered by the viewer, with nothing, when it has taken them in
import type { LiveEventJson } from './event-json.ts'

/** All parts must match; absent or empty ones match everything. `q` is the query language of search. */
export interface LiveFilter {
  q?: string
  host?: string
  app?: string
  level?: string
  file?: string
}

export interface LiveHello {
  buck: string
  environment: string
  eventsPerSecondMax: number
}

export type FilterAnswer =
  | { ok: true }
  | { ok: false; error: string /** Characters from the start of `q`. */; position?: number }

export interface LiveBatch {
  events: LiveEventJson[]
  /** Matching events left out before these, because the viewer took in too slowly. */
  skipped?: number
  /** Matching events left out before these, because they were over `eventsPerSecondMax`. */
  limited?: number
  /** Events (matching or not) that the buck itself had no time to look at. */
  unseen?: number
}

export interface BuckToViewer {
  hello(hello: LiveHello): void
  events(batch: LiveBatch, taken: () => void): void
}

export interface ViewerToBuck {
  filter(filter: LiveFilter, answer: (answer: FilterAnswer) => void): void
}
