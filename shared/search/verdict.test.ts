import { test } from 'tap'
import { Rows } from './rows.ts'
import { and, not, or, type Verdict } from './verdict.ts'

test('sets of rows do what sets of numbers do, also at the ends of words', async t => {
  for (const size of [0, 1, 31, 32, 33, 63, 64, 65, 1000]) {
    t.equal(Rows.all(size).count, size)
    t.same(
      [...Rows.all(size).list()],
      Array.from({ length: size }, (_, i) => i),
    )
    t.ok(Rows.all(size).invert().isEmpty)
    t.equal(new Rows(size).invert().count, size)
    for (const [from, to] of [
      [0, size],
      [1, size - 1],
      [30, 34],
      [size - 1, size],
      [5, 5],
    ]) {
      const rows = new Rows(size)
      if (from < 0 || to > size) continue
      rows.addRange(from, to)
      t.same(
        [...rows.list()],
        Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i),
      )
    }
  }
})

test('a verdict never says yes or no to a row where the truth differs', async t => {
  // All truths of two terms × all that may be known of them.
  const known = [
    ['yes', true],
    ['no', false],
    ['maybe', true],
    ['maybe', false],
  ] as const
  const verdictOf = (word: string): Verdict => {
    const verdict = { yes: new Rows(1), maybe: new Rows(1) }
    if (word === 'yes') verdict.yes.add(0)
    if (word === 'maybe') verdict.maybe.add(0)
    return verdict
  }
  const check = (verdict: Verdict, truth: boolean, name: string) => {
    t.notOk(verdict.yes.has(0) && verdict.maybe.has(0), name)
    if (verdict.yes.has(0)) t.equal(truth, true, name)
    else if (!verdict.maybe.has(0)) t.equal(truth, false, name)
  }
  for (const [a, isA] of known) {
    check(not(verdictOf(a)), !isA, `not ${a}`)
    for (const [b, isB] of known) {
      check(and(verdictOf(a), verdictOf(b)), isA && isB, `${a} and ${b}`)
      check(or(verdictOf(a), verdictOf(b)), isA || isB, `${a} or ${b}`)
    }
  }
  t.ok(and(verdictOf('yes'), verdictOf('yes')).yes.has(0))
  t.ok(or(verdictOf('yes'), verdictOf('maybe')).yes.has(0))
  t.notOk(and(verdictOf('no'), verdictOf('maybe')).maybe.has(0))
})
