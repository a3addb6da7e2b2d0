// What every role's start gives back to the command that started it.
import type { Settings } from '../../config/schema.ts'
import type { World } from '../../shared/world.ts'
import type { OnceProgress } from '../child-messages.ts'

export interface RoleStart {
  settings: Settings
  world: World
  /** Aborts when the process is told to stop. */
  signal: AbortSignal
  /** A tailer that reads to the ends and stops. */
  isOnce: boolean
}

export interface RunningRole {
  /** For the log and the terminal: "channel 127.0.0.1:7700". */
  listens: string[]
  /** Resolves when the role has ended: after `signal`, or by itself (once). Rejects if it cannot go on. */
  ended: Promise<void>
  /** Stops what `signal` does not: faces, listeners. Called after `ended`. */
  close(): Promise<void>
  onceProgress?(): OnceProgress
  /** Takes over what can change while it runs, and names those keys. Throws, and changes nothing, if it cannot be used. */
  follow?(settings: Settings): readonly string[]
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
