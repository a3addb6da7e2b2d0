// The promises of the design, as looked for in the stores when all is healed.
import { parseQuery } from '../../shared/query.ts'
import type { EventStore } from '../../shared/stores.ts'
import type { Workload } from './workload.ts'

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

/** Every broken promise in one store, in words. */
export function brokenPromises(name: string, found: Found, workload: Workload): string[] {
  const missing: string[] = []
  const twice: string[] = []
  for (const line of workload.lines.values()) {
    const places = found.places.get(line.text) ?? []
    const shown = line.text.trim().slice(0, 60)
    if (places.length === 0 && line.excuse === undefined) missing.push(shown)
    if (places.length > 1) twice.push(`${shown}${line.excuse ? ` (${line.excuse})` : ''} in ${places.join(', ')}`)
  }
  const gaps: string[] = []
  const changed: string[] = []
  for (const [source, { host, path, pieces }] of found.sources) {
    const where = `${host} ${path} ${source}`
    // A power cut may take the end of the journal and of the log, and then other bytes come to the same offsets. Unless a
    // buck that has the first ones is heard at the opening, both are kept (docs/design.md, Porter).
    const mayDiffer = workload.powerless.has(host)
    let to = pieces[0]?.to ?? 0
    for (const here of pieces.slice(1)) {
      if (here.from > to) gaps.push(`${where}: nothing from ${to} to ${here.from}`)
      if (here.from < to && !mayDiffer) twice.push(`${where}: ${here.from} to ${to}`)
      to = Math.max(to, here.to)
    }
    if (!isOfOneFile(pieces, workload) && !(mayDiffer && pieces.every(piece => isOfOneFile([piece], workload)))) {
      changed.push(where)
    }
  }
  return [
    ...told(`${name}: line missing`, missing),
    ...told(`${name}: twice`, twice),
    ...told(`${name}: gap in a source`, gaps),
    ...told(`${name}: not the bytes of any file`, changed),
  ]
}

/** All pieces are what some file had at these offsets. */
function isOfOneFile(pieces: Piece[], workload: Workload): boolean {
  return workload.incarnations.some(({ bytes }) =>
    pieces.every(piece => bytes.subarray(piece.from, piece.to).equals(piece.bytes)),
  )
}

function told(kind: string, all: string[]): string[] {
  const shown = all.slice(0, TOLD_MAX).map(one => `${kind}: ${one}`)
  return all.length > TOLD_MAX ? [...shown, `${kind}: … ${all.length} in all`] : shown
}
