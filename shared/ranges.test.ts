import { test } from 'tap'
import { RangeSet } from './ranges.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))

function random(): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

test(`a set of ranges is what a set of numbers is (SEED=${seed})`, async t => {
  const next = random()
  const below = (n: number) => Math.floor(next() * n)
  for (let round = 0; round < 300; round++) {
    const ranges = new RangeSet()
    const model = new Set<number>()
    for (let i = 0; i < 20; i++) {
      const from = below(60)
      const to = from + below(8)
      ranges.add(from, to)
      for (let n = from; n < to; n++) model.add(n)
    }
    const from = below(60)
    const to = from + below(20)
    const inside = Array.from({ length: to - from }, (_, i) => from + i)
    t.equal(ranges.total, model.size, 'total')
    t.equal(
      ranges.covers(from, to),
      inside.every(n => model.has(n)),
      'covers',
    )
    t.equal(
      ranges.overlaps(from, to),
      inside.some(n => model.has(n)),
      'overlaps',
    )
    t.equal(ranges.has(from), model.has(from), 'has')
    const gaps = ranges.gaps(from, to).flatMap(([low, high]) => Array.from({ length: high - low }, (_, i) => low + i))
    t.same(
      gaps,
      inside.filter(n => !model.has(n)),
      'gaps',
    )
    let end = from
    while (model.has(end)) end++
    t.equal(ranges.endFrom(from), end, 'endFrom')
    t.equal(ranges.end, model.size === 0 ? 0 : Math.max(...model) + 1, 'end')
    let before = -1
    for (const [low, high] of ranges) {
      t.ok(low > before && high > low, 'disjoint, rising, not touching')
      before = high
    }
  }
})
