// The status page: processes, stores, and the ledger with its holes.
import type { Ledger, LedgerState } from '../shared/ledger.ts'
import { ApiError, getJson } from './api.ts'
import { byId, bytesText, count, durationText, el } from './dom.ts'
import { showProblem } from './filter-bar.ts'

const REFRESH_MS = 5_000

interface Sums {
  events: number
  lines: number
  bytes: number
  sources: number
}

interface Status {
  environment: string
  bucks: {
    name: string
    channel: string
    url: string
    link: string
    linkError?: string
    error?: string
    status?: {
      name: string
      packets: number
      bytes: number
      bytesMax: number
      buckets: number
      damaged: number
      refused: number
      connectedTailers: number
      disks: { folder: string; state: string; reason?: string }[]
      throttle: { by: string; seconds: number }
      live: { viewers: number }
    }
  }[]
  tailers: {
    tailer: string
    host: string
    connected: boolean
    silentMs: number
    behindBytes?: number
    files?: number
    underReplicatedPackets?: number
    stopped?: string
  }[]
  stores: { recent: Sums; archive: Sums }
  notIndexedYet: { packets: number; fetched: number; cachedBytes: number }
  gaps: { where: string; reason: string }[]
}

type Cell = string | Node | { text: string; kind: 'number' | 'wide' }

void refresh()

async function refresh(): Promise<void> {
  try {
    const [status, ledger] = await Promise.all([getJson<Status>('/api/v1/status'), getJson<Ledger>('/api/v1/ledger')])
    showStatus(status)
    showLedger(ledger)
    showProblem()
    byId('fresh').textContent = `as of ${new Date().toLocaleTimeString()}`
  } catch (error) {
    const { detail, hint } = error instanceof ApiError ? error.problem : { detail: String(error), hint: undefined }
    showProblem({ text: detail, hint })
  }
  setTimeout(() => void refresh(), REFRESH_MS)
}

function showStatus({ environment, bucks, tailers, stores, notIndexedYet, gaps }: Status): void {
  byId('environment').textContent = environment
  table(
    'bucks-table',
    ['Buck', 'State', '#Packets', '#Bytes', '#Tailers', '#Viewers', 'Notes'],
    bucks.map(({ name, url, link, linkError, error, status }) => {
      const isWell = link === 'open' && status !== undefined && status.disks.every(disk => disk.state === 'fine')
      const notes = [
        linkError,
        error && `HTTP: ${error}`,
        status &&
          status.throttle.by !== 'none' &&
          `throttles (${status.throttle.by}) for ${Math.ceil(status.throttle.seconds)} s`,
        status && status.damaged > 0 && `${count(status.damaged)} damaged places`,
        status && status.refused > 0 && `${count(status.refused)} packets refused`,
        ...(status?.disks ?? []).map(
          disk => disk.state !== 'fine' && `${disk.folder} is ${disk.state}: ${disk.reason}`,
        ),
      ]
      return [
        dotted(isWell ? 'good' : status ? 'warn' : 'error', status?.name ?? name),
        isWell ? 'well' : link === 'open' ? 'in trouble' : 'away',
        number(status?.packets),
        { text: status ? `${bytesText(status.bytes)} of ${bytesText(status.bytesMax)}` : '–', kind: 'number' },
        number(status?.connectedTailers),
        number(status?.live.viewers),
        { text: notes.filter(Boolean).join(' · ') || url, kind: 'wide' },
      ]
    }),
    'No bucks are configured.',
  )
  table(
    'tailers-table',
    ['Host', 'Tailer', 'Last heard', '#Files', '#Behind', '#Held once', 'Notes'],
    tailers.map(({ tailer, host, connected, silentMs, files, behindBytes, underReplicatedPackets, stopped }) => [
      dotted(stopped ? 'error' : connected ? 'good' : 'warn', host || '–'),
      el('code', { text: tailer.slice(0, 8), title: tailer }),
      connected ? 'connected' : `${durationText(silentMs)} ago`,
      number(files),
      { text: behindBytes === undefined ? '–' : bytesText(behindBytes), kind: 'number' },
      number(underReplicatedPackets),
      { text: stopped ? `reading stands still: ${stopped}` : '', kind: 'wide' },
    ]),
    'No tailer was heard of yet.',
  )
  table(
    'stores-table',
    ['Store', '#Sources', '#Events', '#Lines', '#Bytes'],
    [
      ...Object.entries(stores).map(([name, sums]): Cell[] => [
        name,
        number(sums.sources),
        number(sums.events),
        number(sums.lines),
        { text: bytesText(sums.bytes), kind: 'number' },
      ]),
      [
        'at bucks, not indexed yet',
        '',
        {
          text: `${count(notIndexedYet.packets)} ${notIndexedYet.packets === 1 ? 'packet' : 'packets'}`,
          kind: 'number',
        },
        '',
        { text: bytesText(notIndexedYet.cachedBytes), kind: 'number' },
      ],
    ],
    '',
  )
  for (const { where, reason } of gaps)
    byId('stores-table').append(el('p', { class: 'damage', text: `${where}: ${reason}` }))
}

const STATES: Record<LedgerState, 'good' | 'warn' | 'error'> = {
  complete: 'good',
  expired: 'good',
  released: 'good',
  accepted: 'good',
  waiting: 'warn',
  hole: 'error',
}

function showLedger({
  rows,
  holes,
  openHoles,
  buckets,
  completeBuckets,
  behindBytes,
  alarms,
  unreachable,
}: Ledger): void {
  const waiting = rows.filter(({ state }) => state === 'waiting').length
  const verdict = byId('ledger-verdict')
  verdict.className = `verdict ${openHoles > 0 ? 'error' : unreachable.length > 0 ? 'warn' : 'good'}`
  verdict.textContent =
    openHoles > 0
      ? `${count(openHoles)} open ${openHoles === 1 ? 'hole' : 'holes'}: lines are missing, named below`
      : waiting > 0
        ? `No line missing; ${count(waiting)} ${waiting === 1 ? 'file has' : 'files have'} lines on their way to the index${behindBytes > 0 ? `, ${bytesText(behindBytes)} behind` : ''}`
        : 'All that was read is accounted for: no line missing'
  const words = [
    ...alarms.map(text => el('p', { class: 'damage', text })),
    ...unreachable.map(text => el('p', { class: 'damage', text: `not asked: ${text}` })),
  ]
  byId('holes').replaceChildren(...words)
  if (holes.length > 0) byId('holes').append(holesTable(holes))
  table(
    'ledger-table',
    ['Host', 'File', 'State', '#Read', '#Held twice', '#Indexed', '#Archived', '#Lines', 'Notes'],
    rows.map(row => [
      row.host,
      { text: row.path, kind: 'wide' },
      dotted(STATES[row.state], row.state),
      ...[row.read, row.heldTwice, row.indexed, row.archived, row.lines].map(number),
      { text: row.note ?? '', kind: 'wide' },
    ]),
    'No file was read yet.',
    i => (rows[i].state === 'hole' ? 'hole' : ''),
  )
  byId('ledger-table').append(
    el('p', {
      class: 'quiet',
      text: `Figures are bytes of the file. Buckets: ${count(completeBuckets)} complete, ${count(buckets.length)} not.`,
    }),
  )
}

function holesTable(holes: Ledger['holes']): HTMLElement {
  const place = el('div', {})
  fill(
    place,
    ['Host', 'File', 'From', 'To', 'State', 'Reason'],
    holes.map(hole => [
      hole.host,
      { text: hole.path || '–', kind: 'wide' },
      hole.from === undefined ? '–' : count(hole.from),
      hole.to === undefined ? 'not known' : count(hole.to),
      hole.state,
      {
        text: hole.decision ? `${hole.reason} (${hole.decision.who}: ${hole.decision.why})` : hole.reason,
        kind: 'wide',
      },
    ]),
    i => (holes[i].state === 'open' ? 'hole' : ''),
  )
  return place
}

function dotted(tone: 'good' | 'warn' | 'error', text: string): Node {
  return el('span', {}, el('i', { class: `dot ${tone}` }), text)
}

function number(value: number | undefined): Cell {
  return { text: value === undefined ? '–' : count(value), kind: 'number' }
}

function table(id: string, titles: string[], rows: Cell[][], empty: string, rowClass?: (i: number) => string): void {
  if (rows.length === 0) byId(id).replaceChildren(el('p', { class: 'quiet', text: empty }))
  else fill(byId(id), titles, rows, rowClass)
}

/** A title that begins with # is a column of numbers. */
function fill(place: HTMLElement, titles: string[], rows: Cell[][], rowClass: (i: number) => string = () => ''): void {
  const head = titles.map(title =>
    el('th', { class: title.startsWith('#') ? 'number' : '', text: title.replace('#', '') }),
  )
  const body = rows.map((cells, i) =>
    el(
      'tr',
      { class: rowClass(i) },
      ...cells.map(cell =>
        typeof cell === 'string' || cell instanceof Node
          ? el('td', {}, cell)
          : el('td', { class: cell.kind, text: cell.text }),
      ),
    ),
  )
  place.replaceChildren(el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...body)))
}
