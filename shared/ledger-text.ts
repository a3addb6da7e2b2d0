// The ledger for eyes: an aligned table, then what is not complete, then the holes.
import type { Hole, Ledger, LedgerRow } from './ledger.ts'

const COLUMNS = [
  'host',
  'file',
  'source',
  'size',
  'read',
  'packed',
  'held twice',
  'indexed',
  'archived',
  'lines',
  'state',
]
const NUMBERS_FROM = 3
const NUMBERS_TO = 9

/** Text with line ends. Paths may hold control characters: they are escaped. */
export function renderLedger(ledger: Ledger): string {
  const lines: string[] = []
  const { totals } = ledger
  const rows = ledger.rows.map(row => [
    visible(row.host),
    visible(row.path),
    row.source.slice(0, 8),
    ...[row.size, row.read, row.packed, row.heldTwice, row.indexed, row.archived, row.lines].map(String),
    row.state + (row.note === undefined ? '' : `: ${visible(row.note)}`),
  ])
  const sums = [
    totals.size,
    totals.read,
    totals.packed,
    totals.heldTwice,
    totals.indexed,
    totals.archived,
    totals.lines,
  ]
  rows.push(['', `${ledger.rows.length} sources`, '', ...sums.map(String), verdict(ledger)])
  lines.push(...table([COLUMNS, ...rows]))
  if (ledger.buckets.length > 0) {
    lines.push('', `buckets that are not complete (${ledger.completeBuckets} are):`)
    lines.push(
      ...table(
        ledger.buckets.map(({ host, tailer, bucket, packets, note }) => [
          visible(host),
          tailer.slice(0, 8),
          new Date(bucket * 1000).toISOString(),
          `${packets} packets`,
          visible(note),
        ]),
      ),
    )
  }
  if (ledger.holes.length > 0) lines.push('', 'not read, not delivered, or left out:', ...ledger.holes.map(holeText))
  const dropped = ledger.rows.flatMap(droppedTexts)
  if (dropped.length > 0) lines.push('', 'dropped by settings, their text blanked:', ...dropped)
  if (ledger.alarms.length > 0) lines.push('', 'to look at:', ...ledger.alarms.map(alarm => `  ${visible(alarm)}`))
  if (ledger.unreachable.length > 0) {
    lines.push(
      '',
      `not asked, because not reachable: ${ledger.unreachable.join(', ')}; what only they hold looks missing`,
    )
  }
  if (ledger.behindBytes > 0) lines.push('', `${ledger.behindBytes} bytes are not yet held twice`)
  return `${lines.join('\n')}\n`
}

function droppedTexts({ host, path, source, dropped = [] }: LedgerRow): string[] {
  const of = `${visible(host)}  ${visible(path)}  source ${source.slice(0, 8)}`
  return dropped.map(({ rule, lines, bytes }) => `  ${of}: ${lines} lines, ${bytes} bytes by ${visible(rule)}`)
}

function verdict({ openHoles, rows, buckets }: Ledger): string {
  if (openHoles > 0) return `${openHoles} open ${openHoles === 1 ? 'hole' : 'holes'}`
  const isWaiting = rows.some(row => row.state === 'waiting') || buckets.some(bucket => bucket.state === 'waiting')
  return isWaiting ? 'waiting' : 'nothing is missing'
}

function holeText(hole: Hole): string {
  const { host, path, source, from, to, epoch, sequences, reason, state, decision } = hole
  const what = [visible(host)]
  if (path !== '') what.push(visible(path))
  if (source !== undefined) what.push(`source ${source.slice(0, 8)}`)
  if (from !== undefined)
    what.push(to === undefined ? `from offset ${from}` : `offsets ${from} to ${to} (${to - from} bytes)`)
  if (sequences !== undefined) {
    const list = sequences.map(([low, high]) => (high - low === 1 ? `${low}` : `${low}–${high - 1}`))
    what.push(`packets ${list.slice(0, 10).join(', ')}${list.length > 10 ? ' …' : ''} of epoch ${epoch}`)
  }
  const by = decision
    ? ` (${visible(decision.who)}, ${new Date(decision.atMs).toISOString()}: ${visible(decision.why)})`
    : ''
  return `  ${state.padEnd(8)}  ${what.join('  ')}: ${visible(reason)}${by}`
}

function table(rows: string[][]): string[] {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  const isNumber = (i: number) => rows[0] === COLUMNS && i >= NUMBERS_FROM && i <= NUMBERS_TO
  return rows.map(row =>
    row
      .map((cell, i) => (isNumber(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join('  ')
      .trimEnd(),
  )
}

/** A file name may hold anything. */
function visible(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, c => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
