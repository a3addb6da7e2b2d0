// Indexes, aliases and mapping of one place (the recent index, a history) of one environment.
//
//   bucktail-<env>-recent               alias over the events of all days: what Kibana and people search
//   bucktail-<env>-recent-2026.11.24    one day, by the packets' buckets (UTC): events, and the marks of what is in it
//   bucktail-<env>-recent-past          what left by age: the marks stay, the events are gone; signed words without a day
//   …-all                               alias over all of these with their marks, for bucktail itself
//   <index>-write                       alias per index: a bulk to a deleted index is refused, not answered with a new
//                                       index that somebody else's settings shape
import type { Bucket } from '../messages.ts'

const FORMAT = 1
export const PAST = 'past'
const DAY_SECONDS = 86_400

export interface IndexShape {
  shards: number
  /** logsdb: untried, see docs/elasticsearch.md. */
  mode: 'standard' | 'logsdb'
}

export class ElasticNames {
  /** Of the alias: what to search. */
  readonly alias: string
  readonly all: string
  readonly #dayForm: RegExp

  /** @param place  `recent`, or `history-<id>` */
  constructor(environment: string, place: string) {
    this.alias = `bucktail-${environment}-${place}`
    this.all = `${this.alias}-all`
    this.#dayForm = new RegExp(`^${this.alias}-(\\d{4}\\.\\d\\d\\.\\d\\d|${PAST})$`)
  }

  /** @param day  of dayOf, or PAST */
  index(day: string): string {
    return `${this.alias}-${day}`
  }

  write(day: string): string {
    return `${this.alias}-${day}-write`
  }

  /** The day of an index; undefined: not one of ours (another environment may begin alike). */
  dayOf(index: string): string | undefined {
    return this.#dayForm.exec(index)?.[1]
  }

  aliases(day: string): Record<string, unknown> {
    return {
      [this.alias]: { filter: IS_EVENT },
      [this.all]: {},
      [this.write(day)]: { is_write_index: true },
    }
  }

  /** So that an index that somebody else makes in our place (a restore, a tool) has our mapping too. */
  template(shape: IndexShape): Record<string, unknown> {
    return {
      index_patterns: [`${this.alias}-*`],
      // Of two environments `a` and `a-b`, the longer name is the more specific pattern.
      priority: 500 + this.alias.length,
      template: {
        settings: settingsOf(shape),
        mappings: mappingOf(shape),
        aliases: { [this.alias]: { filter: IS_EVENT }, [this.all]: {} },
      },
      _meta: { bucktail: { format: FORMAT } },
    }
  }
}

export const IS_EVENT = { exists: { field: '@timestamp' } }

export function dayOfBucket(bucket: Bucket): string {
  return new Date(bucket * 1000).toISOString().slice(0, 10).replaceAll('-', '.')
}

/** First bucket after the day. */
export function endOfDay(day: string): Bucket {
  return Date.parse(`${day.replaceAll('.', '-')}T00:00:00Z`) / 1000 + DAY_SECONDS
}

export function settingsOf({ shards, mode }: IndexShape): Record<string, unknown> {
  return {
    number_of_shards: shards,
    // A second copy as soon as there is a second node.
    auto_expand_replicas: '0-1',
    // Whoever adds asks for a refresh when it is done; this one is for what a crash left.
    refresh_interval: '30s',
    ...(mode === 'logsdb' && { mode }),
  }
}

const keyword = { type: 'keyword', ignore_above: 8191 }
/** Shown, not searched. */
const shown = { type: 'keyword', index: false, doc_values: false }

/** Core types only. What is not listed stays in the document and costs nothing: no field of a line can make it refused. */
export function mappingOf({ mode }: IndexShape): Record<string, unknown> {
  return {
    dynamic: false,
    _meta: { bucktail: { format: FORMAT } },
    // The words can be made from the message again.
    ...(mode === 'standard' && { _source: { excludes: ['bucktail.words'] } }),
    properties: {
      '@timestamp': { type: 'date_nanos' },
      message: { type: 'text', norms: false },
      host: { properties: { name: keyword } },
      service: { properties: { name: keyword } },
      log: { properties: { file: { properties: { path: keyword } }, offset: { type: 'long' }, level: keyword } },
      event: {
        properties: {
          id: shown,
          created: { type: 'date' },
          ingested: { type: 'date' },
          original: { type: 'binary' },
        },
      },
      labels: { type: 'flattened', ignore_above: 8191 },
      bucktail: {
        properties: {
          source: { type: 'keyword' },
          bytes: { type: 'integer', index: false },
          lines: { type: 'integer', index: false },
          line_end: shown,
          tailer: { type: 'keyword' },
          epoch: { type: 'keyword' },
          sequence: { type: 'long' },
          sum: { type: 'keyword', index: false },
          bucket: { type: 'long' },
          guessed: { type: 'boolean' },
          continued: { type: 'boolean' },
          redacted: { type: 'boolean' },
          time: shown,
          words: { type: 'text', analyzer: 'whitespace', norms: false, index_options: 'docs' },
          wide: { type: 'boolean' },
          mark: { type: 'keyword' },
          check: { type: 'long', index: false },
          events: { type: 'long', index: false },
          body: { type: 'object', enabled: false },
        },
      },
    },
  }
}

/** Whether an index that is there is one that we made (or our template did). */
export function isOurs(mapping: { _meta?: { bucktail?: { format?: number } } } | undefined): boolean {
  return mapping?._meta?.bucktail?.format === FORMAT
}
