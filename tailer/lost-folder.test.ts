// What the bucks remember of a tailer that lost its folder, and what must not be concluded from it.
import { appendFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { packetEvents } from '../shared/packet.ts'
import { until } from '../shared/until.test-support.ts'
import { type Bench, bench, gaveUpOf, lines } from './tailer.test-support.ts'

/** That the bucks hold, wherever: the same range may be there twice, when it was read again. */
async function textOf(b: Bench): Promise<string> {
  return (await b.held()).packets.map(packet => packetEvents(packet).bytes.toString('latin1')).join('')
}

test('a file that shares its heading with what the bucks know is not taken for it, when they cannot tell how that ended', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const heading = `#Fields: ${'date time c-ip cs-method cs-uri '.repeat(12)}\n`
  await writeFile(path, '')
  const first = await b.start()
  await until('all bucks are heard', () => first.tailer.status().linksOpen === 3)
  // Buck 0 gets the beginning and the end, and not what is between the two.
  let written = ''
  for (const [away, text] of [heading + lines(0, 10), lines(10, 20), lines(20, 30)].entries()) {
    const buck = [2, 0, 1][away]
    b.cut(buck, true)
    await appendFile(path, text)
    written += text
    await until('held twice', () => {
      const { bytesRead, underReplicatedPackets } = first.tailer.status()
      return bytesRead === written.length && underReplicatedPackets === 0
    })
    b.cut(buck, false)
    await until('all bucks are back', () => first.tailer.status().linksOpen === 3)
  }
  await first.stop()
  await rm(join(b.folder, 'tailer'), { recursive: true })
  const other = heading + lines(100, 200)
  await writeFile(path, other)
  b.cut(1, true)
  b.cut(2, true)
  const second = await b.start({ openingWaitMs: 300 })
  const readOf = () => second.tailer.status().sources.filter(source => source.size === other.length)
  await until('read to its end', () => readOf().some(({ read, size }) => read === size))
  b.cut(1, false)
  b.cut(2, false)
  await until('held twice', () => second.tailer.status().underReplicatedPackets === 0)
  await second.stop()
  const text = await textOf(b)
  const missing = (written + other).split('\n').filter(line => !text.includes(line))
  t.same(missing, [])
  t.comment(JSON.stringify(await gaveUpOf(b)))
})
