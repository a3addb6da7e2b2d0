import { test } from 'tap'
import { type InventoryHolder, readInventory } from './inventory.ts'
import { RefusedError } from './link.ts'

const TAILER = 'ab'.repeat(16)
const RUN = { epoch: '1-00000000000000aa', first: 1, sums: Buffer.alloc(16) }
const PAGE = { tailers: [{ tailer: TAILER, runs: [RUN] }], manifests: [], gone: [], number: 7 }

function holderOf(...pages: unknown[]): InventoryHolder & { asked: unknown[] } {
  const asked: unknown[] = []
  const ask = async (_type: string, body: unknown) => {
    asked.push(body)
    return { body: pages[Math.min(asked.length, pages.length) - 1] }
  }
  return { ask: ask as InventoryHolder['ask'], asked }
}

test('pages are asked for to the last, and put together under the number of the first', async t => {
  const holder = holderOf({ ...PAGE, next: 'a' }, { ...PAGE, number: 9, next: 'b' }, { ...PAGE, number: 10 })
  const { tailers, number } = await readInventory(holder, 60, 1000)
  t.same(holder.asked, [{ bucket: 60 }, { bucket: 60, after: 'a' }, { bucket: 60, after: 'b' }])
  t.equal(tailers.length, 3)
  t.equal(number, 7)
})

test('an answer of another form is refused as a whole, and one that has no end is broken off', async t => {
  const runs = (run: unknown) => ({ ...PAGE, tailers: [{ tailer: TAILER, runs: [run] }] })
  for (const body of [
    undefined,
    null,
    'nonsense',
    {},
    { ...PAGE, tailers: {} },
    { ...PAGE, tailers: [null] },
    { ...PAGE, tailers: [{ tailer: 'web1', runs: [] }] },
    { ...PAGE, number: Number.NaN },
    { ...PAGE, next: 5 },
    runs(undefined),
    runs({ ...RUN, epoch: 'first' }),
    runs({ ...RUN, first: -1 }),
    runs({ ...RUN, sums: Buffer.alloc(9) }),
    runs({ ...RUN, sums: '00' }),
  ]) {
    await t.rejects(readInventory(holderOf(body), 60, 1000), RefusedError)
  }
  const endless = holderOf({ ...PAGE, next: 'again' })
  await t.rejects(readInventory(endless, 60, 1000), RefusedError)
  t.equal(endless.asked.length, 1000)
})
