import { EXIT } from '../fail.ts'
import { openPlace, type PlaceFlags } from '../place.ts'
import { Output } from '../terminal.ts'

export async function ledger(flags: PlaceFlags & { json?: boolean }): Promise<number> {
  const place = await openPlace(flags)
  const output = new Output()
  try {
    await output.line(JSON.stringify(await place.ledger()))
  } finally {
    await place.close()
  }
  await output.flush()
  return EXIT.fine
}
