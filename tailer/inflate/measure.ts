// One pass over a compressed file before anything is made of it: how much is in it, how it begins, whether it is whole.
// Nothing is kept but the head, so a bomb costs time only, and that is bounded too.
import type { OpenFile } from '../../shared/world.ts'
import { HEAD_BYTES } from '../source.ts'
import { type Compression, DamagedError, inflate, NoDecoderError, TornError } from './inflate.ts'
import type { Packed } from './inflated-file.ts'

/** A file that inflates to more than both is no log: not read, and the ledger says so. */
const BOMB_BYTES_MIN = 256 * 1024 * 1024
const BOMB_RATIO_MAX = 500

export interface Measured extends Packed {
  head: Buffer
  /**
   * whole    every check sum is right
   * torn     its end is missing: written to still, or cut off
   * damaged  `bytes` come out of it, what follows does not
   * bomb     see above
   * unread   no program here can inflate it
   */
  state: 'whole' | 'torn' | 'damaged' | 'bomb' | 'unread'
  /** Of anything but `whole`. */
  reason: string
}

/** Rejects with errors of the disk only, and with `signal`'s reason. */
export async function measure(file: OpenFile, compression: Compression, signal: AbortSignal): Promise<Measured> {
  const { size, mtimeMs } = await file.stat()
  const measured: Measured = {
    compression,
    fileBytes: size,
    mtimeMs,
    bytes: 0,
    head: Buffer.alloc(0),
    state: 'whole',
    reason: '',
  }
  try {
    for await (const piece of inflate(file, compression)) {
      signal.throwIfAborted()
      if (measured.head.length < HEAD_BYTES) {
        measured.head = Buffer.concat([measured.head, piece.subarray(0, HEAD_BYTES - measured.head.length)])
      }
      measured.bytes += piece.length
      if (measured.bytes > BOMB_BYTES_MIN && measured.bytes > size * BOMB_RATIO_MAX) {
        return { ...measured, state: 'bomb', reason: `it inflates to more than ${BOMB_RATIO_MAX} times its size` }
      }
    }
    return measured
  } catch (error) {
    const state =
      error instanceof TornError
        ? 'torn'
        : error instanceof DamagedError
          ? 'damaged'
          : error instanceof NoDecoderError
            ? 'unread'
            : undefined
    if (state === undefined) throw error
    return { ...measured, state, reason: (error as Error).message }
  }
}
