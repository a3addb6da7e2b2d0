// Which tailers and sources a buck knows (or a folder that answers like one): asked page by page, checked.
import { RefusedError, type Reply } from './link.ts'
import type { Asks, SourceRecord, TailerContact } from './messages.ts'

/** A page of a buck is some megabytes: far more than an installation has. */
const PAGES_MAX = 1_000

/** Who answers: a Link, or a folder in which nothing runs. */
export interface ContactsHolder {
  ask<K extends 'contacts' | 'sources'>(
    type: K,
    body: Asks[K]['ask'],
    payload?: Buffer,
    timeoutMs?: number,
  ): Promise<Reply<Asks[K]['answer']>>
}

/**
 * Every tailer that `holder` ever heard of. Rejects as `ask` does; an answer of another form is refused as a whole.
 * @param withoutReports  who is connected and since when it is silent: much shorter
 */
export async function readContacts(
  holder: ContactsHolder,
  timeoutMs: number,
  { withoutReports = false } = {},
): Promise<TailerContact[]> {
  const contacts: TailerContact[] = []
  await readPages('contacts', async (after?: string) => {
    const ask = { ...(after !== undefined && { after }), withoutReports }
    const { body } = await holder.ask('contacts', ask, undefined, timeoutMs)
    if (!Array.isArray(body?.tailers) || !body.tailers.every(isContact) || !isNext(body.next, 'string')) {
      malformed('contacts')
    }
    contacts.push(...body.tailers)
    return body.next
  })
  return contacts
}

/** Every source that `holder` ever heard of, without what recognises its file. Rejects as above. */
export async function readSources(holder: ContactsHolder, timeoutMs: number): Promise<SourceRecord[]> {
  const sources: SourceRecord[] = []
  await readPages('sources', async (after?: number) => {
    const { body } = await holder.ask('sources', after === undefined ? {} : { after }, undefined, timeoutMs)
    if (!Array.isArray(body?.sources) || !body.sources.every(isRecord) || !isNext(body.next, 'number')) {
      malformed('sources')
    }
    for (const record of body.sources) sources.push(record)
    return body.next
  })
  return sources
}

async function readPages<C>(what: string, read: (after?: C) => Promise<C | undefined>): Promise<void> {
  let after = await read()
  for (let page = 1; after !== undefined; page++) {
    if (page >= PAGES_MAX) throw new RefusedError('bad-request', `${what} have no end after ${PAGES_MAX} pages`)
    after = await read(after)
  }
}

function isNext(next: unknown, type: 'string' | 'number'): boolean {
  return next === undefined || typeof next === type
}

function isContact(contact: TailerContact): boolean {
  const { tailer, machine, connected, silentMs, report } = contact ?? {}
  return (
    typeof tailer === 'string' &&
    typeof machine === 'string' &&
    typeof connected === 'boolean' &&
    isOffset(silentMs) &&
    (report === undefined || isReport(report))
  )
}

function isReport(report: NonNullable<TailerContact['report']>): boolean {
  const { host, sources, underReplicatedPackets, underReplicatedBytes } = report ?? {}
  return (
    typeof host === 'string' &&
    isOffset(underReplicatedPackets) &&
    isOffset(underReplicatedBytes) &&
    Array.isArray(sources) &&
    sources.every(
      one =>
        typeof one?.source === 'string' &&
        typeof one.path === 'string' &&
        [one.start, one.size, one.read].every(isOffset),
    )
  )
}

function isRecord(record: SourceRecord): boolean {
  const { source, tailer, host, path, start, to } = record ?? {}
  return [source, tailer, host, path].every(text => typeof text === 'string') && isOffset(start) && isOffset(to)
}

/** Of bytes or milliseconds. */
function isOffset(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function malformed(what: string): never {
  throw new RefusedError('bad-request', `the answer to '${what}' is not of its form`)
}
