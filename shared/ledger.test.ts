import { test } from 'tap'
import { computeLedger, type LedgerInputs } from './ledger.ts'
import type { GivenUp, Gone, Manifest } from './manifest.ts'
import type { IdRun, TailerContact } from './messages.ts'
import { type Range, RangeSet } from './ranges.ts'
import type { SourceTotals } from './stores.ts'

const TAILER = 'a'.repeat(32)
const EPOCH = '1-00000000000000ff'
const KEY = `${TAILER}/${EPOCH}`
const SOURCE = 'c0ffee00c0ffee00c0ff'
const PATH = '/var/log/app.log'
const HOUR = 3_600_000

/** Nothing anywhere. */
function inputs(more: Partial<LedgerInputs> = {}): LedgerInputs {
  const empty = { totals: [], sequences: new Map() }
  return {
    contacts: [],
    records: [],
    manifests: [],
    gone: [],
    inventories: [],
    index: empty,
    archive: empty,
    holeAfterMs: 24 * HOUR,
    ...more,
  }
}

function manifest(
  bucket: number,
  first: number,
  last: number,
  from: number,
  to: number,
  gaveUp: GivenUp[] = [],
): Manifest {
  const part = { source: SOURCE, host: 'web1', path: PATH, start: 0, from, to, events: 1, lines: 1, steps: [] }
  return {
    tailer: TAILER,
    epoch: EPOCH,
    bucket,
    bucketSeconds: 10,
    host: 'web1',
    first,
    last,
    sources: to > from ? [part] : [],
    gaveUp,
    farewell: false,
    previous: Buffer.alloc(32),
    boxKey: Buffer.alloc(32),
    signKey: Buffer.alloc(32),
    signature: Buffer.from(`${bucket} ${first} ${last} ${gaveUp.length}`),
  }
}

function gone(sequence: number): Gone {
  const key = Buffer.alloc(32)
  return { tailer: TAILER, epoch: EPOCH, sequence, boxKey: key, signKey: key, signature: Buffer.alloc(64) }
}

/** What a store holds. */
function holds(ranges: Range[], sequences: Range[]): LedgerInputs['index'] {
  const set = new RangeSet(ranges)
  const totals: SourceTotals = {
    source: SOURCE,
    host: 'web1',
    path: PATH,
    app: '',
    start: 0,
    ranges: set,
    events: 3,
    lines: 3,
    bytes: set.total,
  }
  return { totals: ranges.length > 0 ? [totals] : [], sequences: new Map([[KEY, new RangeSet(sequences)]]) }
}

function contact(more: Partial<TailerContact> & { size?: number; read?: number; underReplicated?: number } = {}) {
  const { size = 300, read = 300, underReplicated = 0, ...rest } = more
  return {
    tailer: TAILER,
    machine: 'm',
    connected: true,
    silentMs: 1000,
    report: {
      host: 'web1',
      epoch: EPOCH,
      bucketSeconds: 10,
      sources: [{ source: SOURCE, path: PATH, start: 0, size, read }],
      underReplicatedPackets: underReplicated,
      underReplicatedBytes: underReplicated * 100,
    },
    ...rest,
  }
}

const run = (first: number, count: number): IdRun => ({ epoch: EPOCH, first, sums: Buffer.alloc(8 * count) })
const listing = (buck: string, bucket: number, ...runs: IdRun[]) => ({
  buck,
  bucket,
  tailers: [{ tailer: TAILER, runs }],
})
const away = { connected: false, silentMs: 25 * HOUR }

test('read = packed = held twice = indexed = archived: complete', t => {
  const all = holds([[0, 300]], [[1, 4]])
  const ledger = computeLedger(
    inputs({ contacts: [contact()], manifests: [manifest(10, 1, 3, 0, 300)], index: all, archive: all }),
  )
  t.match(ledger.rows, [
    {
      host: 'web1',
      path: PATH,
      size: 300,
      read: 300,
      packed: 300,
      heldTwice: 300,
      indexed: 300,
      archived: 300,
      lines: 3,
    },
  ])
  t.equal(ledger.rows[0].state, 'complete')
  t.match(ledger, {
    openHoles: 0,
    behindBytes: 0,
    buckets: [],
    completeBuckets: 1,
    totals: { read: 300, archived: 300 },
  })
  t.same(JSON.parse(JSON.stringify(ledger)), ledger, 'crosses a wire as JSON')
  t.end()
})

test('what is on its way is waiting, with the tailer and its last contact; never a hole', t => {
  const ledger = computeLedger(
    inputs({
      contacts: [contact({ size: 500, underReplicated: 1, connected: false, silentMs: 5000 })],
      manifests: [manifest(10, 1, 3, 0, 300)],
      inventories: [listing('b0', 10, run(1, 2)), listing('b1', 10, run(1, 1))],
      index: holds([[0, 100]], [[1, 2]]),
    }),
  )
  t.match(ledger.rows, [
    { size: 500, read: 300, packed: 300, heldTwice: 0, indexed: 100, archived: 0, state: 'waiting' },
  ])
  t.match(ledger.buckets, [{ missing: 1, state: 'waiting', note: /tailer aaaaaaaa on web1 \(last contact 5 s ago\)/ }])
  t.match(ledger, { openHoles: 0, behindBytes: 300 })
  t.end()
})

test('held twice: listed by two bucks, or archived; a tailer’s claim does not outweigh the lists', t => {
  const at = (lists: LedgerInputs['inventories']) =>
    computeLedger(inputs({ contacts: [contact()], manifests: [manifest(10, 1, 3, 0, 300)], inventories: lists }))
      .rows[0].heldTwice
  t.equal(at([listing('b0', 10, run(1, 3)), listing('b1', 10, run(1, 1)), listing('b2', 10, run(2, 2))]), 300)
  t.equal(at([listing('b0', 10, run(1, 3)), listing('b1', 10, run(1, 1))]), 0)
  const young = computeLedger(inputs({ contacts: [contact()], records: [] })).rows[0]
  t.equal(young.heldTwice, 300, 'no manifest yet: the tailer counted two acks for each')
  t.end()
})

test('a gone sequence is a hole for the bytes that nothing else covers', t => {
  const of = (ranges: Range[]) =>
    computeLedger(
      inputs({
        contacts: [contact()],
        manifests: [manifest(10, 1, 3, 0, 300)],
        gone: [gone(2)],
        index: holds(ranges, [
          [1, 2],
          [3, 4],
        ]),
      }),
    )
  const ledger = of([
    [0, 100],
    [200, 300],
  ])
  t.match(ledger.holes, [{ host: 'web1', path: PATH, from: 100, to: 200, sequences: [[2, 3]], state: 'open' }])
  t.match(ledger, { openHoles: 1, rows: [{ state: 'hole' }], buckets: [{ state: 'hole', missing: 1 }] })
  t.equal(of([[0, 300]]).openHoles, 0, 'cut again under another sequence')
  t.same(of([[0, 300]]).buckets, [])
  t.end()
})

test('gone, and no manifest ever named it: a hole without a range, unless every source joins up', t => {
  const of = (ranges: Range[]) =>
    computeLedger(
      inputs({
        contacts: [contact()],
        gone: [gone(2)],
        index: holds(ranges, [
          [1, 2],
          [3, 4],
        ]),
      }),
    )
  t.match(
    of([
      [0, 100],
      [200, 300],
    ]).holes,
    [{ host: 'web1', path: '', sequences: [[2, 3]], reason: /no manifest names/ }],
  )
  t.equal(of([[0, 300]]).holes.length, 0)
  t.end()
})

test('gone, and no manifest ever named it: what is missing of its sources has a range, once nothing more is on its way', t => {
  const record = {
    ...{ source: SOURCE, tailer: TAILER, machine: 'm', host: 'web1', path: PATH, app: 'app', dev: 0, ino: 0 },
    ...{ start: 0, to: 300, head: Buffer.alloc(0), tail: Buffer.alloc(0) },
  }
  const stored = [
    [1, 2],
    [3, 4],
  ] as Range[]
  const known = [
    [0, 100],
    [200, 300],
  ] as Range[]
  const of = (more: Partial<LedgerInputs> = {}) =>
    computeLedger(
      inputs({
        contacts: [contact()],
        records: [record],
        gone: [gone(2)],
        index: holds(known, stored),
        archive: holds(known, stored),
        ...more,
      }),
    )
  const unnamed = { path: '', sequences: [[2, 3]] }
  t.match(of().holes, [{ path: PATH, source: SOURCE, from: 100, to: 200, sequences: [[2, 3]] }, unnamed])
  t.equal(of().rows[0].state, 'hole')
  // A packet that a buck holds and no store has yet may be the one.
  t.match(of({ inventories: [listing('b0', 10, run(4, 1))] }).holes, [unnamed])
  t.match(of({ contacts: [contact({ underReplicated: 1 })] }).holes, [unnamed])
  t.end()
})

test('gone, and sealed by ids alone after a rollback: the manifest names no file, so it is as if none named it', t => {
  const record = { source: SOURCE, tailer: TAILER, machine: 'm', host: 'web1', path: PATH, start: 0, to: 300 }
  const of = (ranges: Range[]) => {
    const stored = holds(ranges, [
      [1, 2],
      [3, 4],
    ])
    return computeLedger(
      inputs({
        contacts: [contact()],
        records: [record as LedgerInputs['records'][number]],
        manifests: [manifest(10, 1, 3, 0, 0)],
        gone: [gone(2)],
        index: stored,
        archive: stored,
      }),
    )
  }
  const lost = of([
    [0, 100],
    [200, 300],
  ])
  t.match(lost.holes, [
    { path: PATH, source: SOURCE, from: 100, to: 200, sequences: [[2, 3]], state: 'open' },
    { path: '', sequences: [[2, 3]] },
  ])
  t.match(lost.rows, [{ state: 'hole' }], 'nobody is waited for')
  t.match(lost.buckets, [{ state: 'hole', missing: 1 }], 'nor is its bucket complete')
  t.same(of([[0, 300]]).holes, [], 'cut again under another sequence')
  t.same(of([[0, 300]]).buckets, [])
  t.end()
})

test('a host that is silent for a day: what it had and nobody has is a hole, down to its last known size', t => {
  const ledger = computeLedger(
    inputs({
      contacts: [contact({ size: 900, read: 300, ...away })],
      manifests: [manifest(10, 1, 3, 0, 300)],
      index: holds([[0, 200]], [[1, 3]]),
    }),
  )
  t.match(ledger.holes, [
    { from: 200, to: 300, sequences: [[3, 4]], reason: /last contact 25 h ago/ },
    { from: 300, to: 900, reason: /not delivered: last contact 25 h ago/ },
  ])
  t.equal(ledger.openHoles, 2)
  t.end()
})

test('what only a former id of a living tailer had, and nobody has, is a hole once that id is silent for a day', t => {
  const former = 'b'.repeat(32)
  const record = (tailer: string, to: number) =>
    ({
      source: SOURCE,
      tailer,
      machine: 'm',
      host: 'web1',
      path: PATH,
      start: 0,
      to,
    }) as LedgerInputs['records'][number]
  const ledgerWith = (of: { silentMs: number; heirTo: number }) =>
    computeLedger(
      inputs({
        contacts: [
          contact({ size: 0, read: 0 }),
          { tailer: former, machine: 'm', connected: false, silentMs: of.silentMs },
        ],
        manifests: [manifest(10, 1, 1, 0, 100)],
        records: [record(TAILER, of.heirTo), record(former, 300)],
        index: holds(
          [
            [0, 100],
            [150, 300],
          ],
          [[1, 2]],
        ),
        archive: holds(
          [
            [0, 100],
            [150, 300],
          ],
          [[1, 2]],
        ),
      }),
    )
  const lost = ledgerWith({ silentMs: 25 * HOUR, heirTo: 100 })
  t.match(lost.holes, [{ source: SOURCE, tailer: former, from: 100, to: 150, state: 'open', reason: /not delivered/ }])
  t.match(lost.rows, [{ state: 'hole' }])
  t.match(ledgerWith({ silentMs: HOUR, heirTo: 100 }).rows, [{ state: 'waiting' }], 'it may still come')
  t.match(ledgerWith({ silentMs: 25 * HOUR, heirTo: 300 }).rows, [{ state: 'waiting' }], 'the heir has it')
  t.end()
})

test('what another source goes on with, after a move or a power cut, is not missing from the first', t => {
  const fork = { source: 'f0', tailer: 'b'.repeat(32), machine: 'n', host: 'web1', path: PATH, app: '', dev: 0, ino: 0 }
  const bytes = { head: Buffer.alloc(0), tail: Buffer.alloc(0) }
  const ledger = computeLedger(
    inputs({
      contacts: [contact({ size: 900, read: 500, ...away })],
      records: [{ ...fork, ...bytes, start: 300, to: 300, parent: SOURCE }],
      manifests: [manifest(10, 1, 3, 0, 300)],
      index: holds([[0, 300]], [[1, 4]]),
    }),
  )
  t.same(ledger.holes, [])
  t.match(
    ledger.rows.find(row => row.source === SOURCE),
    { size: 300, read: 300, state: 'complete' },
  )
  t.end()
})

test('a tailer that says it stands still has an unknown rest: waiting while it lives, a hole when it is silent for a day', t => {
  const { report, ...rest } = contact()
  const stopped = { ...report, stopped: 'the disk takes no writes' }
  const stored = { manifests: [manifest(10, 1, 3, 0, 300)], index: holds([[0, 300]], [[1, 4]]) }
  const living = computeLedger(inputs({ ...stored, contacts: [{ ...rest, report: stopped }] }))
  t.match(living.rows, [{ state: 'waiting', note: /the disk takes no writes: waiting for/ }])
  t.equal(living.openHoles, 0)
  const silent = computeLedger(inputs({ ...stored, contacts: [{ ...rest, ...away, report: stopped }] }))
  t.match(silent.holes, [{ from: 300, reason: /not read: the disk takes no writes, then last contact 25 h ago/ }])
  t.end()
})

test('what a tailer gave up is a hole, what policy left out is released, an alarm is none', t => {
  const gaveUp = (kind: GivenUp['kind'], from: number, to?: number): GivenUp => {
    return { source: SOURCE, host: 'web1', path: PATH, from, ...(to !== undefined && { to }), reason: `${kind}!`, kind }
  }
  const of = (...given: GivenUp[]) =>
    computeLedger(
      inputs({
        contacts: [contact()],
        manifests: [
          manifest(10, 1, 2, 100, 300, given),
          { ...manifest(10, 1, 2, 100, 300, given), signature: Buffer.from('2') },
        ],
        index: holds([[100, 300]], [[1, 3]]),
      }),
    )
  const released = of(gaveUp('excluded', 0, 100))
  t.match(released, { openHoles: 0, rows: [{ state: 'released' }], holes: [{ from: 0, to: 100, state: 'released' }] })
  const truncated = of(gaveUp('hole', 0, 100))
  t.match(truncated, { openHoles: 1, rows: [{ state: 'hole', note: 'hole!' }] })
  t.equal(truncated.holes.length, 1, 'said twice, counted once')
  const vanished = of(gaveUp('excluded', 0, 100), gaveUp('hole', 300))
  t.equal(vanished.holes.find(hole => hole.state === 'open')?.to, undefined, 'the end is not known')
  const alarm = of(gaveUp('excluded', 0, 100), gaveUp('alarm', 100))
  t.match(alarm, { openHoles: 0, alarms: [/web1 .*alarm!/] })
  t.equal(of(gaveUp('hole', 100, 200), gaveUp('excluded', 0, 100)).openHoles, 0, 'given up by one, read by another')
  const left = of(gaveUp('excluded', 0, 100), gaveUp('excluded', 300))
  t.match(left, { openHoles: 0, rows: [{ state: 'released' }] })
  t.match(left.holes, [{ to: 100 }, { from: 300, to: undefined, state: 'released' }], 'left, and not read since')
  const readOn = of(gaveUp('excluded', 0, 100), gaveUp('excluded', 200))
  t.match(readOn.holes, [{ to: 100 }], 'left for a while, then read on')
  t.equal(readOn.holes.length, 1)
  t.end()
})

test('accepted and retired holes are not open, and say who and why', t => {
  const given = { contacts: [contact({ size: 900, ...away })], index: holds([[0, 300]], [[1, 4]]) }
  const word = { who: 'ann', atMs: 1_700_000_000_000, why: 'the disk is gone' }
  t.equal(computeLedger(inputs(given)).openHoles, 1)
  const accepted = computeLedger(
    inputs({ ...given, decisions: [{ kind: 'accept', host: 'web1', path: PATH, ...word }] }),
  )
  t.match(accepted, { openHoles: 0, holes: [{ state: 'accepted', decision: word }], rows: [{ state: 'accepted' }] })
  const other = computeLedger(inputs({ ...given, decisions: [{ kind: 'accept', host: 'web2', ...word }] }))
  t.equal(other.openHoles, 1)
  const retired = computeLedger(
    inputs({ ...given, contacts: [contact({ size: 900 })], decisions: [{ kind: 'retire', host: 'web1', ...word }] }),
  )
  t.match(retired, { openHoles: 0, holes: [{ state: 'accepted' }] })
  t.end()
})

test('archived and gone from the index by age is expired; archived and missing in the index before that is waiting', t => {
  const of = (expiredBefore: number) =>
    computeLedger(
      inputs({
        contacts: [contact()],
        manifests: [manifest(10, 1, 3, 0, 300)],
        archive: holds([[0, 300]], [[1, 4]]),
        expiredBefore,
      }),
    ).rows[0]
  t.equal(of(20).state, 'expired')
  t.match(of(10), { state: 'waiting', note: /not in the index/ })
  t.end()
})
