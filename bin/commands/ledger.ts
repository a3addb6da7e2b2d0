// What was read, held, indexed, archived; and every hole by name.
import type { Hole, Ledger, LedgerRow } from '../../shared/ledger.ts'
import { EXIT } from '../fail.ts'
import { openPlace, type PlaceFlags } from '../place.ts'
import { bold, counted, dim, escapeControls, Output, size, table } from '../terminal.ts'

/** Of the packets that one hole names. */
const RANGES_SHOWN_MAX = 10

export async function ledger(flags: PlaceFlags & { json?: boolean }): Promise<number> {
  const place = await openPlace(flags)
  const output = new Output()
  try {
    const found = await place.ledger()
    if (flags.json) await output.line(JSON.stringify(found))
    else await output.write(ledgerText(found))
    await output.flush()
    return found.openHoles > 0 ? EXIT.holes : EXIT.fine
  } finally {
    await place.close()
  }
}

/** For eyes: names of files may hold anything, and are escaped. */
export function ledgerText(ledger: Ledger): string {
  const { rows, totals, holes, behindBytes, alarms, unreachable, buckets, completeBuckets } = ledger
  const out = [
    table(
      ['host', 'file', 'source', 'bytes', 'read', 'packed', 'safe', 'indexed', 'archived', 'lines', 'state', ''],
      [...rows.map(rowCells), ['', 'all', '', ...sums(totals), '', '']],
    ),
    '',
    dim('bytes of the sources; safe: held by two bucks beside the tailer, or archived'),
    `${counted(completeBuckets, 'bucket')} complete, ${buckets.length} not yet; ${size(behindBytes)} behind`,
    ...buckets.map(({ host, bucket, state, note }) =>
      escapeControls(`  bucket ${new Date(bucket * 1000).toISOString().slice(0, 19)}Z of ${host}: ${state}, ${note}`),
    ),
    ...rows.flatMap(droppedLines),
    ...alarms.map(alarm => escapeControls(`look at: ${alarm}`)),
    ...unreachable.map(name => escapeControls(`not asked: ${name}`)),
    ...holes.map(holeLine),
    '',
  ]
  const open = ledger.openHoles
  out.push(bold(open === 0 ? 'no open hole: nothing is missing' : `${counted(open, 'open hole')}: see above`), '')
  return out.join('\n')
}

/** Not missing: each byte of them is in the sums, blanked. */
function droppedLines({ host, path, dropped = [] }: LedgerRow): string[] {
  return dropped.map(({ rule, lines, bytes }) =>
    escapeControls(`dropped by setting: ${host} ${path}: ${counted(lines, 'line')} (${size(bytes)}) by ${rule}`),
  )
}

function rowCells(row: LedgerRow): (string | number)[] {
  const { host, path, source, state, note = '' } = row
  return [escapeControls(host), escapeControls(path), source.slice(0, 8), ...sums(row), state, escapeControls(note)]
}

function sums(row: Ledger['totals']): number[] {
  const { size: bytes, read, packed, heldTwice, indexed, archived, lines } = row
  return [bytes, read, packed, heldTwice, indexed, archived, lines]
}

function holeLine({ host, path, from, to, epoch, sequences, reason, state, decision }: Hole): string {
  const bytes = from === undefined ? 'an unknown range' : `bytes ${from}–${to ?? 'unknown'}`
  const range = sequences === undefined ? bytes : `packets ${numbersText(sequences)} of epoch ${epoch}`
  const who =
    decision === undefined ? '' : ` (${decision.who}, ${new Date(decision.atMs).toISOString()}: ${decision.why})`
  return escapeControls(`hole, ${state}: ${host}${path === '' ? '' : ` ${path}`}, ${range}: ${reason}${who}`)
}

function numbersText(ranges: [low: number, end: number][]): string {
  const texts = ranges
    .slice(0, RANGES_SHOWN_MAX)
    .map(([low, end]) => (end - low === 1 ? `${low}` : `${low}–${end - 1}`))
  return texts.join(', ') + (ranges.length > RANGES_SHOWN_MAX ? ' …' : '')
}
