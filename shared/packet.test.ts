import { test } from 'tap'
import { analyseText, ModeMemory } from './columns/columns-block.ts'
import { type Events, eventAt, type FoundEvent, walkEvents } from './events.ts'
import {
  CorruptPacketError,
  decodePacket,
  decodePackets,
  encodePacket,
  PACKET_HEADER_BYTES,
  packetEvents,
  UnknownPacketVersionError,
} from './packet.ts'

const origin = {
  tailer: '00112233445566778899aabbccddeeff',
  epoch: '7-0123456789abcdef',
  sequence: 9,
  bucket: 1_700_000_040,
}

function twoRuns(): Events {
  return {
    runs: [
      {
        source: 'aaaaaaaaaaaaaaaaaaaa',
        host: 'web1',
        path: '/log/a',
        app: 'a',
        from: 100,
        to: 112,
        start: 0,
        events: 2,
      },
      {
        source: 'bbbbbbbbbbbbbbbbbbbb',
        host: 'web1',
        path: '/log/b',
        app: 'b',
        from: 5,
        to: 9,
        start: 5,
        events: 1,
        parent: 'c',
      },
    ],
    bytes: Buffer.from('hello\nworld\n\xff\0\r\n', 'latin1'),
    ends: new Uint32Array([6, 12, 16]),
    lines: new Uint16Array([1, 0, 1]),
    times: new BigInt64Array([1_700_000_000_123_456_789n, 1_700_000_000_000_000_000n, -1n]),
    levels: new Uint8Array([3, 0, 6]),
    flags: new Uint8Array([0, 1, 0]),
    hosts: new Uint16Array([0, 1, 0]),
    apps: new Uint16Array([2, 0, 0]),
    names: ['', 'db7', 'sshd'],
  }
}

function found(events: Events): FoundEvent[] {
  return [...walkEvents(events)].map(({ i, run, from }) => eventAt(events, i, run, from))
}

test('a packet gives back exactly the events that went in', async t => {
  const packet = decodePacket(encodePacket(origin, twoRuns()).bytes)
  t.match(packet.header, {
    id: { tailer: origin.tailer, epoch: origin.epoch, sequence: 9 },
    bucket: origin.bucket,
    events: 3,
    lines: 2,
    rawBytes: 16,
    leastNs: -1n,
    greatestNs: 1_700_000_000_123_456_789n,
  })
  t.same(packet.runs, twoRuns().runs)
  t.same(found(packetEvents(packet)), found(twoRuns()))
})

test('the header is written as drawn', async t => {
  const { bytes } = encodePacket(origin, twoRuns())
  // Meta and body lengths, hash and checksum follow from the compressor; the rest stands for ever.
  t.equal(bytes.toString('hex', 0, 8), '4254504b01000000')
  t.equal(
    bytes.toString('hex', 16, 80),
    '00112233445566778899aabbccddeeff' + // tailer
      '000000070123456789abcdef' + // epoch
      '00000009' + // sequence
      '6553f128' + // bucket
      '00000003' + // events
      '00000002' + // lines
      '00000010' + // raw bytes
      'ffffffffffffffff' + // least time
      '17979cfe3d85cd15', // greatest time
  )
})

test('a packet written by version 1 is read for ever', async t => {
  const golden =
    '4254504b01000000000000600000005900112233445566778899aabbccddeeff000000070123456789abcdef000000096553' +
    'f128000000030000000200000010ffffffffffffffff17979cfe3d85cd15e81f11d5934b5069906067cca9bbcc6cb3462a31' +
    'e792a910ded32d1fe66d14004f6674ed929299b46161616161616161616161616161616161616161a477656231a62f6c6f67' +
    '2f61a16164700002a099b46262626262626262626262626262626262626262a477656231a62f6c6f672f62a16205090501a1' +
    '6393a0a3646237a473736864030000001000000028b52ffd204c450200f40306000000060000000400000015cd853dfe9c97' +
    '17eb32a4f8ffd5c9016368e80100000002000000000003000600010068656c6c6f0a776f726c640aff000d0a02003b425d60' +
    '0c'
  t.same(found(packetEvents(decodePacket(Buffer.from(golden, 'hex')))), found(twoRuns()))
})

test('a packet of columns gives back exactly the events that went in', async t => {
  const text = Array.from(
    { length: 500 },
    (_, n) => `2026-03-01T00:00:${10 + (n % 50)}Z request ${n * 7} took ${n} ms\n`,
  )
  const events = { ...twoRuns(), bytes: Buffer.from(text.join('')) }
  const column = <T>(make: (n: number) => T) => text.map((_, n) => make(n))
  let end = 0
  Object.assign(events, {
    ends: Uint32Array.from(column(n => (end += text[n].length))),
    lines: Uint16Array.from(column(() => 1)),
    times: BigInt64Array.from(column(n => BigInt(1_772_323_210 + (n % 50)) * 1_000_000_000n)),
    levels: Uint8Array.from(column(n => n % 7)),
    flags: Uint8Array.from(column(n => (n % 9 === 0 ? 1 : 0))),
    hosts: Uint16Array.from(column(n => n % 3)),
    apps: Uint16Array.from(column(n => (n >> 4) % 3)),
  })
  Object.assign(events.runs[0], { from: 0, to: end - text[499].length, events: 499 })
  Object.assign(events.runs[1], { from: 5, to: 5 + text[499].length, events: 1 })
  const columns = analyseText(events.bytes, new ModeMemory())
  t.ok(columns)
  const packet = decodePacket(encodePacket(origin, events, { columns }).bytes)
  t.match(packet.header, {
    kind: 'columns',
    events: 500,
    lines: 500,
    rawBytes: end,
    leastNs: 1_772_323_210_000_000_000n,
    greatestNs: 1_772_323_259_000_000_000n,
  })
  t.same(found(packetEvents(packet)), found(events))
  t.ok(packet.bytes.length < encodePacket(origin, events).bytes.length)
})

test('every cut is refused', async t => {
  const { bytes } = encodePacket(origin, twoRuns())
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decodePacket(Buffer.from(bytes.subarray(0, length))), CorruptPacketError, `cut at ${length}`)
  }
})

test('every flipped bit is refused', async t => {
  const { bytes } = encodePacket(origin, twoRuns())
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = Buffer.from(bytes)
    damaged[bit >> 3] ^= 1 << (bit & 7)
    t.throws(() => decodePacket(damaged), `bit ${bit}`)
  }
})

test('packets end to end are told apart', async t => {
  const one = encodePacket(origin, twoRuns())
  const two = encodePacket({ ...origin, sequence: 10 }, twoRuns())
  t.same(
    [...decodePackets(Buffer.concat([one.bytes, two.bytes]))].map(packet => packet.header.id.sequence),
    [9, 10],
  )
})

test('a version of the future is told from damage: it is kept, not read', async t => {
  const { bytes } = encodePacket(origin, twoRuns())
  const { crc32 } = await import('node:zlib')
  const later = Buffer.from(bytes)
  later[4] = 2
  later.writeUInt32BE(crc32(later.subarray(0, 112)), 112)
  t.throws(() => decodePacket(later), UnknownPacketVersionError)
})

test('a body that claims more than it may is refused before anything is allocated', async t => {
  const { bytes, header } = encodePacket(origin, twoRuns())
  const { createHash } = await import('node:crypto')
  const { crc32 } = await import('node:zlib')
  const bodyAt = PACKET_HEADER_BYTES + header.metaBytes
  for (const [at, value] of [
    [bodyAt, 0xffffffff],
    [bodyAt + 4, 0xffffffff],
    [bodyAt, 4],
    [bodyAt + 4, 17],
  ]) {
    const forged = Buffer.from(bytes)
    forged.writeUInt32LE(value, at)
    createHash('sha256').update(forged.subarray(PACKET_HEADER_BYTES)).digest().copy(forged, 80)
    forged.writeUInt32BE(crc32(forged.subarray(0, 112)), 112)
    t.throws(() => packetEvents(decodePacket(forged)), CorruptPacketError)
  }
})
