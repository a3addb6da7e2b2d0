// The processes and stores of an environment, as archie sees them.
import { readContacts } from '../shared/contacts.ts'
import type { Fleet } from '../shared/fleet.ts'
import type { TailerContact } from '../shared/messages.ts'
import type { EventStore, SourceTotals } from '../shared/stores.ts'
import type { FreshSource } from './fresh-source.ts'

const ASK_TIMEOUT_MS = 2_000

export interface StatusParts {
  environment: string
  bucks: { channel: string; url: string }[]
  fleet: Fleet
  fresh: FreshSource
  index: EventStore
  archive: EventStore
}

export async function environmentStatus(parts: StatusParts): Promise<object> {
  const { environment, bucks, fleet, fresh, index, archive } = parts
  const links = fleet.status()
  const [faces, tailers, indexTotals, archiveTotals] = await Promise.all([
    Promise.all(bucks.map(({ url }) => faceStatus(url))),
    contacts(fleet),
    sums(index),
    sums(archive),
  ])
  return {
    environment,
    bucks: bucks.map(({ channel, url }, i) => ({
      name: `buck ${i}`,
      channel,
      url,
      link: links.find(({ address }) => address === channel)?.state ?? 'closed',
      linkError: links.find(({ address }) => address === channel)?.error,
      ...faces[i],
    })),
    tailers: tailers.map(({ tailer, report, connected, silentMs }) => ({
      tailer,
      host: report?.host ?? '',
      connected,
      silentMs,
      behindBytes: report?.sources.reduce((sum, { size, read }) => sum + Math.max(0, size - read), 0),
      files: report?.sources.length,
      underReplicatedPackets: report?.underReplicatedPackets,
      underReplicatedBytes: report?.underReplicatedBytes,
      stopped: report?.stopped,
    })),
    stores: { recent: indexTotals, archive: archiveTotals },
    notIndexedYet: fresh.counts(),
    gaps: fresh.gaps(),
  }
}

/** Of every tailer what the buck says that heard from it last. Bucks that do not answer are left out: their link tells it. */
export async function contacts(fleet: Fleet): Promise<TailerContact[]> {
  const answers = await Promise.allSettled(fleet.open().map(link => readContacts(link, ASK_TIMEOUT_MS)))
  const latest = new Map<string, TailerContact>()
  for (const answer of answers) {
    if (answer.status === 'rejected') continue
    for (const contact of answer.value) {
      const known = latest.get(contact.tailer)
      const isNewer = !known || contact.silentMs < known.silentMs
      // A buck that restarted has heard from the tailer but may have no report of it yet.
      const best = isNewer ? contact : known
      latest.set(contact.tailer, {
        ...best,
        report: best.report ?? contact.report ?? known?.report,
        connected: contact.connected || known?.connected === true,
      })
    }
  }
  return [...latest.values()]
}

async function faceStatus(url: string): Promise<{ status?: unknown; error?: string }> {
  try {
    const response = await fetch(`${url}/status`, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) })
    if (!response.ok) return { error: `${url}/status answers ${response.status}` }
    return { status: await response.json() }
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string } }
    return { error: cause?.code ?? message }
  }
}

async function sums(store: EventStore): Promise<{ events: number; lines: number; bytes: number; sources: number }> {
  const totals: SourceTotals[] = await store.totals()
  return totals.reduce(
    (sum, { events, lines, bytes }) => ({
      events: sum.events + events,
      lines: sum.lines + lines,
      bytes: sum.bytes + bytes,
      sources: sum.sources + 1,
    }),
    { events: 0, lines: 0, bytes: 0, sources: 0 },
  )
}
