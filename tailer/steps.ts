// Hashes over fixed steps of a source (shared/manifest, STEP_BYTES), however it is cut into packets. A step is known only
// if all its bytes went by in order; after a restart the begun step is read once more from the file.
import { createHash, type Hash } from 'node:crypto'
import { STEP_BYTES } from '../shared/manifest.ts'

export interface StepHash {
  step: number
  sha256: Buffer
}

interface Begun {
  hash: Hash
  /** Next byte of the source that is expected. */
  at: number
}

export class StepHasher {
  readonly #begun = new Map<string, Begun>()

  /** Bytes from..from + length of a source went into a packet. Answers the steps that are complete with them. */
  add(source: string, from: number, bytes: Buffer): StepHash[] {
    const done: StepHash[] = []
    let begun = this.#begun.get(source)
    if (begun !== undefined && begun.at !== from) begun = undefined
    for (let used = 0; used < bytes.length; ) {
      const at = from + used
      const inStep = at % STEP_BYTES
      if (inStep === 0) begun = { hash: createHash('sha256'), at }
      const length = Math.min(bytes.length - used, STEP_BYTES - inStep)
      if (begun !== undefined) {
        begun.hash.update(bytes.subarray(used, used + length))
        begun.at = at + length
        if (inStep + length === STEP_BYTES) {
          done.push({ step: Math.floor(at / STEP_BYTES), sha256: begun.hash.digest() })
          begun = undefined
        }
      }
      used += length
    }
    if (begun === undefined) this.#begun.delete(source)
    else this.#begun.set(source, begun)
    return done
  }

  /** Where a begun step of the source would have to be read from, to go on at `offset`; undefined if it is known. */
  lacksFrom(source: string, offset: number): number | undefined {
    const stepStart = offset - (offset % STEP_BYTES)
    if (stepStart === offset || this.#begun.get(source)?.at === offset) return undefined
    return stepStart
  }
}
