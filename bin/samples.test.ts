import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { rotate, SAMPLE_KINDS, sampleRecord, seededFraction } from './samples.ts'

test('samples follow from the seed: the same again, others from another one', async t => {
  const lines = (seed: number) => {
    const random = seededFraction(seed)
    return SAMPLE_KINDS.map(kind =>
      Array.from({ length: 50 }, () => sampleRecord(kind, random, 1_772_366_400_000)).join(''),
    )
  }
  t.same(lines(1), lines(1))
  t.notSame(lines(1), lines(2))
  for (const text of lines(3)) t.ok(text.endsWith('\n'))
})

test('rotation renames, keeps three and never copies', async t => {
  const dir = testFolder(t)
  const file = join(dir, 'a.log')
  for (let n = 1; n <= 5; n++) {
    writeFileSync(file, `${n}`)
    rotate(file)
  }
  t.same(readdirSync(dir), ['a.log.1', 'a.log.2', 'a.log.3'])
  t.equal(readFileSync(`${file}.1`, 'utf8'), '5')
  t.equal(readFileSync(`${file}.3`, 'utf8'), '3')
})
