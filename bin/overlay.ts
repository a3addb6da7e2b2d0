// The bytes of one source, each once and in order, out of events that may overlap and may differ.
//
//   events, by offset   ▐ epoch 5: AAAA ▌▐ epoch 5: BBBBBB ▌
//                              ▐ epoch 6: CCCCCC ▌▐ epoch 6: DD ▌
//   pieces              ▐ AA ▌▐ CCCCCC ▌▐ DD ▌▐ BB ▌
//
// After a power cut a file may have lost its end and have gone on in another way, while no buck could say so: two packets
// hold different bytes for one range. The later epoch saw the file last: its bytes count, and whoever asks is told.
// Of two tailers, or of one epoch, nobody knows which is right: that is an error, never a choice.
// Held at a time: what overlaps the last event, which is at most EVENT_BYTES_MAX long.
import type { FoundEvent } from '../shared/events.ts'

export interface Piece {
  from: number
  bytes: Buffer
}

interface OwnedPiece extends Piece {
  tailer?: string
  epoch?: string
}

/** Two contents of which neither is known to be the later one. */
export class UndecidedError extends Error {
  override readonly name = 'UndecidedError'
  readonly from: number
  readonly to: number
  constructor(from: number, to: number) {
    super(`two different contents for bytes ${from}–${to}`)
    this.from = from
    this.to = to
  }
}

export class Overlay {
  /** Disjoint, by offset. */
  #pieces: OwnedPiece[] = []
  readonly #onConflict: (from: number, to: number) => void

  /** @param onConflict  two epochs differ there; called before these bytes are given out */
  constructor(onConflict: (from: number, to: number) => void) {
    this.#onConflict = onConflict
  }

  /** Events come by rising offset. Throws UndecidedError. */
  add({ from, bytes, tailer, epoch }: Pick<FoundEvent, 'from' | 'bytes' | 'tailer' | 'epoch'>): void {
    const event = { from, bytes, tailer, epoch }
    const pieces: OwnedPiece[] = []
    let at = from
    for (const piece of this.#pieces) {
      if (endOf(piece) <= from || piece.from >= endOf(event)) {
        pieces.push(piece)
        continue
      }
      const low = Math.max(piece.from, from)
      const high = Math.min(endOf(piece), endOf(event))
      if (at < low) pieces.push(part(event, at, low))
      if (piece.from < low) pieces.push(part(piece, piece.from, low))
      pieces.push(this.#choose(part(piece, low, high), part(event, low, high)))
      if (high < endOf(piece)) pieces.push(part(piece, high, endOf(piece)))
      at = high
    }
    if (at < endOf(event)) pieces.push(part(event, at, endOf(event)))
    this.#pieces = pieces.sort((a, b) => a.from - b.from)
  }

  /** Takes out what no later event can change: all before the next one's offset. */
  take(before: number): Piece[] {
    const taken: Piece[] = []
    const kept: OwnedPiece[] = []
    for (const piece of this.#pieces) {
      if (endOf(piece) <= before) taken.push(piece)
      else if (piece.from >= before) kept.push(piece)
      else {
        taken.push(part(piece, piece.from, before))
        kept.push(part(piece, before, endOf(piece)))
      }
    }
    this.#pieces = kept
    return taken
  }

  #choose(held: OwnedPiece, other: OwnedPiece): OwnedPiece {
    const isLater = held.tailer === other.tailer && countOf(other) > countOf(held)
    if (held.bytes.equals(other.bytes)) return isLater ? other : held
    const isKnown = held.tailer !== undefined && held.tailer === other.tailer && countOf(held) !== countOf(other)
    if (!isKnown) throw new UndecidedError(held.from, endOf(held))
    this.#onConflict(held.from, endOf(held))
    return isLater ? other : held
  }
}

function part(piece: OwnedPiece, from: number, to: number): OwnedPiece {
  if (from === piece.from && to === endOf(piece)) return piece
  return { ...piece, from, bytes: piece.bytes.subarray(from - piece.from, to - piece.from) }
}

function endOf({ from, bytes }: Piece): number {
  return from + bytes.length
}

/** `<count>-<random>`: one more with each start of the tailer. */
function countOf({ epoch }: OwnedPiece): number {
  return epoch === undefined ? 0 : Number.parseInt(epoch, 10)
}
