// What operators decided about holes (`bucktail ledger accept`, `ledger retire`), beside the archive, for every ledger:
//   decisions/0000000001.json   a sealed document (shared/sealed-json): kind, host, path?, source?, who, atMs, why
// Created only, never changed: the record of who accepted what is kept.
import * as z from 'zod'
import type { Decision } from './ledger.ts'
import { decodeSealed, encodeSealed } from './sealed-json.ts'
import type { ObjectStore } from './stores.ts'

const PREFIX = 'decisions/'
const DIGITS = 10
const FORMAT = 'bucktail decision'
const VERSION = 1
/** Others that decide at the same moment take the same number. */
const TRIES_MAX = 100

const shape: z.ZodType<Decision> = z.object({
  kind: z.enum(['accept', 'retire']),
  host: z.string(),
  path: z.string().optional(),
  source: z.string().optional(),
  who: z.string(),
  atMs: z.number(),
  why: z.string(),
})

export class Decisions {
  readonly #objects: ObjectStore

  constructor(objects: ObjectStore) {
    this.#objects = objects
  }

  /** In the order in which they were made. One that cannot be read rejects: without it a hole would be open again. */
  async list(): Promise<Decision[]> {
    const decisions: Decision[] = []
    for (const key of await this.#objects.list(PREFIX)) {
      const content = await this.#objects.get(key)
      try {
        if (content) decisions.push(shape.parse(decodeSealed(content, FORMAT, VERSION)))
      } catch (cause) {
        throw new Error(`${key} beside the archive cannot be read: ${(cause as Error).message}`, { cause })
      }
    }
    return decisions
  }

  /** Durable when it resolves. */
  async add(decision: Decision): Promise<void> {
    const content = encodeSealed(FORMAT, VERSION, { ...decision })
    const last = (await this.#objects.list(PREFIX)).at(-1)?.slice(PREFIX.length, PREFIX.length + DIGITS) ?? '0'
    for (let number = Number(last) + 1; number <= Number(last) + TRIES_MAX; number++) {
      const key = `${PREFIX}${String(number).padStart(DIGITS, '0')}.json`
      if (await this.#objects.create(key, content)) return
    }
    throw new Error(`${TRIES_MAX} others decided at the same moment; try again`)
  }
}
