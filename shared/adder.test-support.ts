// A process for shared/catalogue.test.ts: adds the packets of a seed to a store, in a random order, some of them twice.
// Arguments: folder, writer, seed of the packets, seed of the order. Prints how many events it was the one to add.
import { FolderStore } from './folder-store.ts'
import type { Packet } from './packet.ts'
import { seededRandom } from './packets.test-support.ts'
import { realWorld } from './real-world.ts'
import { SegmentStore } from './segment-store.ts'
import { randomPackets } from './stores.contract.ts'

const [folder, writer, packetSeed, orderSeed] = process.argv.slice(2)
const log = { debug() {}, info() {}, warn() {}, error() {} }
const world = realWorld({ log })
const random = seededRandom(Number(orderSeed))
const packets = randomPackets(seededRandom(Number(packetSeed)), 60)
const store = await SegmentStore.open(new FolderStore(world.disk, folder), {
  world,
  writer,
  graceMs: 0,
  snapshotCommits: 4,
})
let events = 0
const left = [...packets, ...packets.slice(0, 20)]
while (left.length > 0) {
  const some: Packet[] = []
  for (let n = Math.floor(random() * 5); n >= 0 && left.length > 0; n--) {
    some.push(...left.splice(Math.floor(random() * left.length), 1))
  }
  events += (await store.add(some, { manifests: [], gone: [] })).events
  if (random() < 0.15) await store.tidy()
}
process.stdout.write(`${events}\n`)
