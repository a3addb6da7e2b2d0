// Time stamps of a block written out, to look into them; and where in such a text something could be at all.
import { load8 } from '../columns/core/memory.ts'
import { HEAP } from '../columns/core/places.ts'
import { addFormat, forgetFormats, writeStamp } from '../columns/core/stamps.ts'
import type { ColumnsView } from '../columns/view.ts'

/** Longer than any, also than what a damaged block makes of one. */
const ROOM_BYTES = 64
/** 11 November 2011: digits everywhere, also where a day under 10 has a space. Of a day: 11:33:20. */
const SAMPLE_SECONDS = 1_321_011_200
const SAMPLE_CLOCK = 41_600
const KIND_CLOCK = 4

const SPACE = 32

export class StampText {
  readonly bytes = new Uint8Array(ROOM_BYTES)
  readonly #formats: ColumnsView['formatKeys']

  constructor(view: ColumnsView) {
    this.#formats = view.formatKeys
    // Written by the codec's own function, in the memory of its plain form.
    forgetFormats()
    for (const { key, fraction } of this.#formats) addFormat(key, fraction)
  }

  /** Into `bytes`, from 0; answers its length. Nothing else may use the codec's plain form between two calls. */
  write(format: number, seconds: number, fraction: number): number {
    const length = Math.min(ROOM_BYTES, writeStamp(HEAP, format, seconds | 0, fraction | 0) - HEAP)
    for (let i = 0; i < length; i++) this.bytes[i] = load8(HEAP + i)
    return length
  }

  /** One of this format: all others have digits and letters where it has them, and the same bytes elsewhere. */
  sample(format: number): Uint8Array {
    const isClock = (this.#formats[format].key & 7) === KIND_CLOCK
    return this.bytes.slice(0, this.write(format, isClock ? SAMPLE_CLOCK : SAMPLE_SECONDS, 0))
  }
}

/** Whether the bytes sought (lower case) could stand at `offset` of a stamp that looks like `sample`. */
export function couldStandIn(
  sample: Uint8Array,
  offset: number,
  sought: Uint8Array,
  from: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) {
    const there = sample[offset + i]
    const byte = sought[from + i]
    if (isDigit(there)) {
      // The first digit of a day may be a space.
      if (!isDigit(byte) && byte !== SPACE) return false
    } else if (isLetter(there)) {
      if (!isLetter(byte)) return false
    } else if (there !== byte) return false
  }
  return true
}

/** Whether they could stand anywhere in it. */
export function couldStandWithin(sample: Uint8Array, sought: Uint8Array): boolean {
  for (let at = 0; at + sought.length <= sample.length; at++) {
    if (couldStandIn(sample, at, sought, 0, sought.length)) return true
  }
  return false
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57
}

function isLetter(byte: number): boolean {
  return (byte | 32) >= 97 && (byte | 32) <= 122
}
