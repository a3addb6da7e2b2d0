// The promises of the design, as looked for in the stores when all is healed.
import { parseQuery } from '../../shared/query.ts'
import type { EventStore } from '../../shared/stores.ts'
import type { Workload, WrittenLine } from './workload.ts'

/** Broken promises told per kind: the first ones explain the rest. */
const TOLD_MAX = 5

interface Piece {
  from: number
  to: number
  bytes: Buffer
}

interface FoundSource {
  host: string
  path: string
  pieces: Piece[]
}

export interface Found {
  /** Where each text was found: source and offset. */
  places: Map<string, string[]>
  sources: Map<string, FoundSource>
}

export async function collect(store: EventStore): Promise<Found> {
  const found: Found = { places: new Map(), sources: new Map() }
  for await (const event of store.search({ query: parseQuery(''), order: 'offset' })) noteEvent(found, event)
  return sorted(found)
}

export function noteEvent(
  found: Found,
  { source, host, path, from, bytes }: { source: string; host: string; path: string; from: number; bytes: Buffer },
): void {
  const text = bytes.toString('latin1')
  const places = found.places.get(text)
  if (places) places.push(`${source}@${from}`)
  else found.places.set(text, [`${source}@${from}`])
  let of = found.sources.get(source)
  if (!of) {
    of = { host, path, pieces: [] }
    found.sources.set(source, of)
  }
  of.pieces.push({ from, to: from + bytes.length, bytes: Buffer.from(bytes) })
}

export function sorted(found: Found): Found {
  for (const source of found.sources.values()) source.pieces.sort((a, b) => a.from - b.from)
  return found
}

/** Lines that must be in a store and are not. */
export function missingLines(found: Found, workload: Workload): WrittenLine[] {
  return [...workload.lines.values()].filter(
    line =>
      line.excuse === undefined &&
      !found.places.has(line.text) &&
      !(workload.twofold.has(line.host) && isInParts(found, line)),
  )
}

/**
 * Where packets of a former life begin in the middle of a line, it is cut there: all its bytes are there, as two events.
 * And where a power cut left half a line, or garbage, the file itself has the next line joined to it.
 */
function isInParts(found: Found, { text, host }: WrittenLine): boolean {
  const bytes = Buffer.from(text)
  for (const { host: of, pieces } of found.sources.values()) {
    if (of !== host) continue
    const goesOn = (at: number, done: number): boolean =>
      done === bytes.length ||
      pieces.some(
        piece =>
          piece.from === at &&
          piece.to > at &&
          bytes.subarray(done, done + piece.bytes.length).equals(piece.bytes) &&
          goesOn(piece.to, done + piece.bytes.length),
      )
    if (pieces.some(({ from }) => goesOn(from, 0))) return true
    if (pieces.some(piece => piece.bytes.subarray(-bytes.length).equals(bytes))) return true
  }
  return false
}

/** Every broken promise in one store, in words; `excused` are lines that may be missing for once. */
export function brokenPromises(
  name: string,
  found: Found,
  workload: Workload,
  excused: ReadonlySet<WrittenLine> = new Set(),
  /** Hosts that were struck by several things at once: a line may be there once more for each. */
  strikes: ReadonlyMap<string, number> = new Map(),
): string[] {
  const missing = missingLines(found, workload).filter(line => !excused.has(line))
  const twice: string[] = []
  for (const line of workload.lines.values()) {
    const places = found.places.get(line.text) ?? []
    if (places.length <= line.copies + (strikes.get(line.host) ?? 0)) continue
    twice.push(`${shown(line)}${line.excuse ? ` (${line.excuse})` : ''} in ${places.join(', ')}`)
  }
  const gaps: string[] = []
  const changed: string[] = []
  for (const [source, { host, path, pieces }] of found.sources) {
    const where = `${host} ${path} ${source}`
    // A power cut or a rollback may take the end of the journal and of the log, and then other bytes come to the same
    // offsets. Unless a buck that has the first ones is heard at the opening, both are kept (docs/design.md, Porter).
    const mayDiffer = workload.twofold.has(host) || strikes.has(host)
    let to = pieces[0]?.from
    for (const piece of pieces) {
      if (piece.from > to && excused.size === 0 && !strikes.has(host))
        gaps.push(`${where}: nothing from ${to} to ${piece.from}`)
      if (piece.from < to && !mayDiffer) twice.push(`${where}: ${piece.from} to ${to}`)
      to = Math.max(to, piece.to)
    }
    if (!isOfOneFile(pieces, workload) && !(mayDiffer && pieces.every(piece => isOfOneFile([piece], workload)))) {
      changed.push(where)
    }
  }
  return [
    ...told(`${name}: line missing`, missing.map(shown)),
    ...told(`${name}: twice`, twice),
    ...told(`${name}: gap in a source`, gaps),
    ...told(`${name}: not the bytes of any file`, changed),
  ]
}

export function shown(line: WrittenLine): string {
  return line.text.trim().slice(0, 60)
}

/** All pieces are what some file had at these offsets. */
function isOfOneFile(pieces: Piece[], workload: Workload): boolean {
  return workload.incarnations.some(({ bytes }) =>
    pieces.every(piece => bytes.subarray(piece.from, piece.to).equals(piece.bytes)),
  )
}

export function told(kind: string, all: string[]): string[] {
  const shown = all.slice(0, TOLD_MAX).map(one => `${kind}: ${one}`)
  return all.length > TOLD_MAX ? [...shown, `${kind}: … ${all.length} in all`] : shown
}
