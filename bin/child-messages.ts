// What a role that runs as a child of `bucktail up` and its parent tell each other, over Node's IPC.
// A role that was started otherwise has no parent to tell.
import type { ExitCode } from './fail.ts'

export type FromChild =
  /** It serves. */
  | { type: 'ready' }
  /** It cannot start, or cannot go on: the sentence for the user. */
  | { type: 'failed'; message: string; exitCode: ExitCode }
  /** A tailer with --once, every second. */
  | { type: 'progress'; progress: OnceProgress }

export type ToChild = { type: 'stop' }

export interface OnceProgress {
  files: number
  /** Bytes of the files, and how many of them are read and packed. */
  size: number
  read: number
  /** Packets that are not archived yet. */
  packetsWaiting: number
}

/** Resolves when the message is handed over; a parent that is gone misses nothing. */
export function tellParent(message: FromChild): Promise<void> {
  return new Promise(resolve => {
    if (!process.connected || process.send === undefined) return resolve()
    process.send(message, undefined, undefined, () => resolve())
  })
}
