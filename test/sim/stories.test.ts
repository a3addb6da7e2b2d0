// The ten stories by which earlier versions of the protocol were broken, each driven step by step. TRACE=1 tells them.
import { test } from 'tap'
import type { Asks } from '../../shared/messages.ts'
import { SeededRandom } from './seeded-random.ts'
import { Story, second } from './story.ts'

const once = (lines: string[]) => ({ index: lines.map(() => 1), archive: lines.map(() => 1) })

test('1. a file that is copied and truncated is read once, even if the tailer looks between the two', async t => {
  const story = new Story('copytruncate')
  const { program } = story
  program.write(50)
  await story.run(8 * second)
  program.copy()
  await story.run(6 * second)
  program.truncate()
  program.write(10)
  await story.run(6 * second)
  // A copy that is shorter than what was read: these lines are in the original only.
  program.copy()
  program.write(5)
  await story.run(4 * second)
  program.truncate()
  program.write(5)
  t.same(await story.broken(), [])
})

test('1. a copy in the making is not read twice by a tailer that starts between copy and truncation', async t => {
  const story = new Story('copytruncate and kill')
  story.program.write(50)
  await story.run(8 * second)
  story.program.copy()
  story.host.kill()
  await story.run(12 * second)
  story.program.truncate()
  story.program.write(10)
  t.same(await story.broken(), [])
})

for (const isJournalWhole of [true, false]) {
  const what = isJournalWhole ? 'the log' : 'log and journal'
  test(`2. a power cut that shortens ${what} makes no line come twice`, async t => {
    const story = new Story(`power ${isJournalWhole}`)
    const { program, host } = story
    program.write(90)
    await story.run(8 * second)
    const logBytes = host.machine.disk.file(program.config.path).size
    const folder = story.folder()
    program.write(10)
    await story.run(3 * second)
    await story.losePower(2 * second, { logBytes, ...(!isJournalWhole && { folder }) })
    const lines = program.write(20)
    t.same(await story.broken(), [])
    t.same(await story.places(lines), once(lines))
  })
}

test('2. what a log had after a power cut is read, when the folder is lost with it and the log is rotated before a look', async t => {
  const story = new Story('power and folder')
  const { program, host } = story
  const before = program.write(50)
  await story.run(8 * second)
  const logBytes = host.machine.disk.file(program.config.path).size
  program.write(40)
  await story.run(3 * second)
  await story.losePower(2 * second, { logBytes, folder: new Map() })
  // Shorter than what the bucks know of it, and begins as that does.
  const after = program.write(10)
  program.rename()
  after.push(...program.write(5))
  t.same(await story.broken(), [])
  t.same(await story.places([...before, ...after]), once([...before, ...after]))
})

test('2. a log that a power cut made shorter comes once, when the folder is lost with it', async t => {
  const story = new Story('power and folder, not rotated')
  const { program, host } = story
  const lines = program.write(50)
  await story.run(8 * second)
  const logBytes = host.machine.disk.file(program.config.path).size
  program.write(40)
  await story.run(3 * second)
  await story.losePower(2 * second, { logBytes, folder: new Map() })
  lines.push(...program.write(10))
  await story.run(3 * second)
  lines.push(...program.write(60))
  t.same(await story.broken(), [])
  t.same(await story.places(lines), once(lines))
})

test('2. what a log had after it was put back is read, where the bucks tell of it what another id had sent', async t => {
  const story = new Story('another id, then put back')
  const { program, host, fleet } = story
  const before = program.write(20)
  await story.run(8 * second)
  const logBytes = host.machine.disk.file(program.config.path).size
  const folder = story.folder()
  // The bucks are asked only what a damaged source log cannot tell.
  const sources = [...folder.keys()].find(path => path.endsWith('/sources')) ?? ''
  const damaged = Buffer.from(folder.get(sources) ?? '')
  damaged[damaged.length - 1] ^= 1
  folder.set(sources, damaged)
  fleet.loseTailerFolder(host)
  await story.run(5 * second)
  program.write(20)
  await story.run(4 * second)
  await story.losePower(0, { logBytes, folder })
  const after = program.write(10)
  await story.run(6 * second)
  after.push(...program.write(5))
  t.same(await story.broken(), [])
  t.same(await story.places([...before, ...after]), once([...before, ...after]))
})

for (const isHeard of [true, false]) {
  const when = isHeard ? 'at the opening' : 'when reading has begun'
  test(`2. a bucket that a power cut took from the journal before it was sealed is sealed by what the bucks say ${when}`, async t => {
    const story = new Story(`power and bucket ${isHeard}`)
    const { program, host, fleet } = story
    program.write(5)
    await story.run(21 * second)
    const folder = story.folder()
    program.write(7)
    await story.run(4 * second)
    if (!isHeard) for (const { machine } of fleet.bucks) fleet.network.cut(host.machine, machine)
    await story.losePower(6 * second, { folder })
    await story.run(6 * second)
    fleet.network.healAll()
    const lines = program.write(5)
    await story.run(14 * second)
    t.same(await story.unsealed(), [])
    t.same(await story.broken(), [])
    t.same(await story.places(lines), once(lines))
  })
}

test('3. a host that is put back with its memory loses neither what it sent before nor what it sends then', async t => {
  const story = new Story('memory')
  const { program, host, fleet } = story
  const epochs: string[] = []
  const told = fleet.network.onRequest
  fleet.network.onRequest = (type, body, sentAtMs) => {
    told?.(type, body, sentAtMs)
    if (type === 'open') epochs.push((body as Asks['open']['ask']).epoch)
  }
  program.write(5)
  await story.run(12 * second)
  host.process?.kill()
  const image = host.machine.disk.image()
  host.start()
  const seed = host.process?.seed ?? new SeededRandom('none')
  await story.run(6 * second)
  const before = epochs.at(-1)
  const first = program.write(7)
  await story.run(60 * second)
  t.same(await story.places(first), once(first), 'archived')
  epochs.length = 0
  fleet.rollBackWithMemory(host, image, seed)
  await story.run(1 * second)
  const then = program.write(5)
  t.ok(epochs.includes(before ?? ''), 'it goes on in the same epoch')
  t.same(await story.broken(), [])
  t.same(await story.places([...first, ...then]), once([...first, ...then]))
})

test('3. what a host sent before it was put back with its memory is sealed, also if its bucket was over by then', async t => {
  const story = new Story('memory and bucket')
  const { program, host, fleet } = story
  program.write(5)
  await story.run(16 * second)
  host.process?.kill()
  const image = host.machine.disk.image()
  host.start()
  const seed = host.process?.seed ?? new SeededRandom('none')
  // Into the next bucket, which is sent and not sealed.
  await story.run(5 * second)
  program.write(7)
  await story.run(9 * second + 1)
  fleet.rollBackWithMemory(host, image, seed)
  await story.run(5 * second)
  const then = program.write(5)
  await story.run(10 * second)
  t.same(await story.unsealed(), [])
  t.same(await story.broken(), [])
  t.same(await story.places(then), once(then))
})

for (const isTwin of [false, true]) {
  test(`3. a live clone with ${isTwin ? 'an identity of its own' : 'the same identity'} loses nothing, nor does the original`, async t => {
    const story = new Story(`clone ${isTwin}`)
    const { program, host, fleet } = story
    program.write(20)
    await story.run(20 * second)
    const clone = fleet.clone(host, host.machine.disk.image(), isTwin ? 'twin' : host.machine.identity)
    const [copy] = fleet.workload.of(clone.machine)
    const lines: string[] = []
    for (let i = 0; i < 8; i++) {
      lines.push(...program.write(3), ...copy.write(3))
      await story.run(3 * second)
    }
    t.same(await story.broken(), [])
    t.same(await story.places(lines), once(lines))
    t.equal((await story.tailers()).length, 2, 'one of the two has minted an id')
  })
}

/** A host that was put back with its memory, and bucks that know more; which of them has what is the seed's. */
async function putBackWithMemory(seed: string, laterLines: number, linesThen: number): Promise<Story> {
  const story = new Story(seed)
  const { program, host, fleet } = story
  const { network } = fleet
  const [, ...others] = fleet.bucks.map(buck => buck.machine)
  program.write(5)
  await story.run(12 * second)
  host.process?.kill()
  // Bucks are heard before anything is read only where the folder does not know everything.
  for (const path of story.folder().keys())
    if (path.includes('/buckets/')) host.machine.disk.flip(host.machine.disk.file(path), 50, 1)
  const image = host.machine.disk.image()
  host.start()
  const drawn = host.process?.seed ?? new SeededRandom('none')
  // Of its own epoch bucks tell only that they know more.
  host.kill()
  await story.run(12 * second)
  for (const lines of [3, laterLines]) {
    network.cut(host.machine, others[0])
    program.write(lines)
    await story.run(2 * second)
    network.healAll()
  }
  for (const machine of others) network.cut(host.machine, machine)
  fleet.rollBackWithMemory(host, image, drawn)
  program.write(linesThen)
  await story.run(15 * second)
  program.write(10)
  await story.run(15 * second)
  return story
}

test('3. what a host writes after it was put back with its memory is read, also where a buck has what it wrote before', async t => {
  for (const seed of ['memory and gap true', 'memory and gap false']) {
    const story = await putBackWithMemory(seed, 3, 4)
    t.same(await story.broken(), [], seed)
  }
})

test('3. what a buck gives back to a host that was put back with its memory makes no line come twice', async t => {
  const story = await putBackWithMemory('memory 0', 0, 1)
  t.same(await story.broken(), [])
})

test('4. two contents of one source and offset are both kept, in index and archive alike', async t => {
  const story = new Story('other bytes')
  const { program, host, fleet } = story
  program.write(8)
  await story.run(12 * second)
  const image = host.machine.disk.image()
  const undone = program.write(4)
  await story.run(30 * second)
  t.same((await story.places(undone)).index, [1, 1, 1, 1], 'indexed')
  story.cutOff()
  fleet.rollBack(host, image)
  const lines = program.write(4)
  await story.run(20 * second)
  fleet.porters[0].kill()
  t.same(await story.broken(), [])
  t.same(await story.places([...undone, ...lines]), once([...undone, ...lines]))
})

test('5. a line that is cut twice, into buckets of different spans, is there once', async t => {
  const story = new Story('two spans')
  const { program } = story
  program.write(8)
  await story.run(12 * second)
  const folder = story.folder()
  program.write(6)
  await story.run(4 * second)
  await story.losePower(150 * second, { folder })
  story.cutOff()
  await story.run(15 * second)
  program.write(4)
  t.same(await story.broken(), [])
})

for (const isHostDead of [false, true]) {
  const from = isHostDead ? 'the index, when the host is gone too' : 'the tailer'
  test(`6. what was indexed and then lost by all bucks is archived from ${from}`, async t => {
    const story = new Story(`bucks lost ${isHostDead}`)
    const { program, fleet, host } = story
    const lines = program.write(30)
    await story.run(26 * second)
    t.same((await story.places(lines)).index, once(lines).index, 'indexed')
    t.same(
      (await story.places(lines)).archive,
      lines.map(() => 0),
      'not archived',
    )
    if (isHostDead) fleet.die(host.machine)
    for (const buck of fleet.bucks) {
      fleet.loseDisk(buck)
      await story.run(1 * second)
    }
    t.same(await story.broken(), [])
    t.same(await story.places(lines), once(lines))
  })
}

test('7. a quiet file is not sent again after a restart, when its packets are long forgotten', async t => {
  const story = new Story('quiet')
  const { program, host, fleet } = story
  program.write(20)
  await story.run(5 * second)
  program.rename()
  program.write(5)
  await story.run(120 * second)
  t.notOk(
    [...story.folder().keys()].some(path => path.endsWith('/1790000000')),
    'forgotten',
  )
  const packets = fleet.network.delivered.get('packet')
  host.kill()
  await story.run(30 * second)
  t.equal(fleet.network.delivered.get('packet'), packets)
  t.same(await story.broken(), [])
})

test('8. an id minted on another machine loses no packet that the former one had not sent', async t => {
  const story = new Story('heir')
  const { program, host, fleet } = story
  program.write(10)
  await story.run(8 * second)
  story.cutOff()
  const lines = program.write(10)
  await story.run(5 * second)
  fleet.move(host, 'another machine')
  await story.run(10 * second)
  lines.push(...program.write(10))
  t.same(await story.broken(), [])
  t.same(await story.places(lines), once(lines))
  t.equal((await story.tailers()).length, 2)
})

test('8. a tailer that dies without a word and is back at once keeps its id', async t => {
  const story = new Story('no mint')
  const { program, host } = story
  for (let i = 0; i < 4; i++) {
    program.write(5)
    await story.run(4 * second)
    // Its peers do not notice: their links look alive.
    host.process?.die('power')
    host.start()
  }
  await story.run(8 * second)
  t.same(await story.broken(), [])
  t.equal((await story.tailers()).length, 1)
})

test('9. a sequence that nobody has is a hole once the tailer says so, and is asked for no more', async t => {
  const story = new Story('gone')
  const { program, host, fleet } = story
  const kept = program.write(3)
  await story.run(12 * second)
  // One bucket later, in packets of its own; the manifest of that bucket reaches the bucks.
  const lost = program.write(4)
  await story.run(9 * second)
  const bucket = '/1790000010/'
  fleet.porters[0].isHeldDown = true
  fleet.porters[0].process?.kill()
  for (const member of [...fleet.bucks, host]) {
    member.process?.kill()
    for (const [path, bytes] of fleet.filesOf(member.machine, '/data')) {
      if (!path.includes(bucket)) continue
      const { disk } = member.machine
      for (let at = bytes.indexOf('BTPK'); at >= 0; at = bytes.indexOf('BTPK', at + 1))
        disk.flip(disk.file(path), at + 60, 3)
    }
  }
  host.machine.disk.unlink(program.config.path)
  for (const member of [...fleet.bucks, host]) member.start()
  fleet.porters[0].isHeldDown = false
  fleet.porters[0].start()
  await story.run(150 * second)
  const wants = fleet.network.delivered.get('want') ?? 0
  t.ok(wants > 0, 'it was asked for')
  await story.run(60 * second)
  t.equal(fleet.network.delivered.get('want'), wants, 'and then no more')
  const { holes, openHoles } = await fleet.simulation.timeline.drive(fleet.ledger())
  t.ok(openHoles > 0)
  t.ok(
    holes.some(hole => hole.host === 'host0' && hole.path === program.config.path && (hole.to ?? 0) > (hole.from ?? 0)),
    'a hole with host, file and range',
  )
  t.same((await story.places(kept)).archive, once(kept).archive)
  t.same((await story.places(lost)).archive, [0, 0, 0, 0])
})

test('10. a tailer at its disk limit stops reading and forgets nothing that is not archived: a lost buck costs no line', async t => {
  const story = new Story('limit', { tailer: { diskBytesMax: 6_000 } })
  const { program, fleet } = story
  const stopped: string[] = []
  const told = fleet.network.onRequest
  fleet.network.onRequest = (type, body, sentAtMs) => {
    told?.(type, body, sentAtMs)
    const why = type === 'report' && (body as Asks['report']['ask']).stopped
    if (why) stopped.push(why)
  }
  for (let i = 0; i < 20; i++) {
    program.write(10)
    await story.run(1 * second)
  }
  fleet.loseDisk(fleet.bucks[1])
  await story.run(20 * second)
  t.ok(stopped.length > 0, 'it stood still, and said so')
  t.same(await story.broken(), [])
})
