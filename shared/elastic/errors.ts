// What Elasticsearch may say instead of yes, by what can be done about it.

/** Base: it refused, and asking again in the same way will not help. The message is for the operator. */
export class ElasticError extends Error {
  override readonly name: string = 'ElasticError'
  /** HTTP status; 0: no answer. */
  readonly status: number
  /** Elasticsearch's own name for it, such as `cluster_block_exception`; '' if it gave none. */
  readonly type: string

  constructor(message: string, about: { status?: number; type?: string; cause?: unknown } = {}) {
    super(message, { cause: about.cause })
    this.status = about.status ?? 0
    this.type = about.type ?? ''
  }
}

/** No node answers, or none in time: worth trying again. What was sent may have arrived. */
export class ElasticUnreachableError extends ElasticError {
  override readonly name = 'ElasticUnreachableError'
}

/** It has too much to do (429, 503): worth trying again, later and with less. */
export class ElasticBusyError extends ElasticError {
  override readonly name = 'ElasticBusyError'
}

/** The index was deleted under our hands: worth trying again from the start. */
export class IndexMissingError extends ElasticError {
  override readonly name = 'IndexMissingError'
}

/** What a refusal means, said for the operator; `what` was being done. */
export function errorOf(what: string, status: number, type: string, reason: string, cause?: unknown): ElasticError {
  const about = { status, type, cause }
  if (type === 'index_not_found_exception') return new IndexMissingError(`${what}: ${reason}`, about)
  if (type === 'cluster_block_exception') {
    return new ElasticError(
      `${what}: Elasticsearch blocks it (${reason}). Mostly its disk is full: free space or add a node; it goes on by itself once Elasticsearch lifts the block`,
      about,
    )
  }
  if (status === 401) {
    return new ElasticError(
      `${what}: Elasticsearch does not know these credentials (${reason}): check index.api_key, or index.username and index.password`,
      about,
    )
  }
  if (status === 403) {
    return new ElasticError(
      `${what}: Elasticsearch does not permit it (${reason}): docs/elasticsearch.md lists the privileges that are needed`,
      about,
    )
  }
  if (status === 429 || status === 502 || status === 503 || status === 504) {
    return new ElasticBusyError(`${what}: Elasticsearch is too busy (${status} ${reason})`, about)
  }
  return new ElasticError(`${what}: Elasticsearch refuses (${status} ${type} ${reason})`, about)
}
