// What was told wrong: which events, and a value for each: a count, the gaps between the events, the values.
import { CorruptBlockError } from '../block.ts'
import type { VarintReader } from './varints.ts'

/** The events of a list; its values follow. @throws CorruptBlockError */
export function readGaps(reader: VarintReader, what: string, events: number): Uint32Array {
  const count = reader.next(`exceptions of ${what}`, events)
  const list = new Uint32Array(count)
  let event = 0
  for (let k = 0; k < count; k++) {
    const gap = reader.next(`event of ${what}`, events)
    event += gap
    if (event >= events || (k > 0 && gap === 0)) throw new CorruptBlockError(`${what} of event ${event} of ${events}`)
    list[k] = event
  }
  return list
}
