// What only bucks have of a bucket is named by its ids, once.
import { test } from 'tap'
import { StrayPackets } from './strays.ts'

const EPOCH = '3-00000000000000aa'
const of = (bucket: number, ...sequences: number[]) =>
  sequences.map(sequence => ({ epoch: EPOCH, bucket, sequence, tailer: '', sum: '' }))

test('what several bucks tell is one run per bucket without the gaps, and told once', async t => {
  const strays = new StrayPackets()
  strays.hear([...of(10, 4, 7, 5), ...of(20, 8)])
  strays.hear(of(10, 5, 8))
  t.same(strays.take(), [
    { epoch: EPOCH, bucket: 10, first: 4, last: 5 },
    { epoch: EPOCH, bucket: 10, first: 7, last: 8 },
    { epoch: EPOCH, bucket: 20, first: 8, last: 8 },
  ])
  t.equal(strays.isAny, false)
  t.same(strays.take(), [])
})

test('what a manifest names already is not named again; the same sequence in another bucket is', async t => {
  const strays = new StrayPackets()
  strays.sealed({ epoch: EPOCH, bucket: 10, first: 1, last: 6 })
  strays.hear([...of(10, 5, 6, 7), ...of(20, 5)])
  strays.sealed({ epoch: EPOCH, bucket: 10, first: 7, last: 7 })
  t.same(strays.take(), [{ epoch: EPOCH, bucket: 20, first: 5, last: 5 }])
  strays.sealed({ epoch: EPOCH, bucket: 30, first: 0, last: 0 })
  strays.hear(of(30, 1))
  t.same(strays.take(), [{ epoch: EPOCH, bucket: 30, first: 1, last: 1 }], 'an idle bucket names nothing')
})
