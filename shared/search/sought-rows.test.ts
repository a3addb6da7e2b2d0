import { test } from 'tap'
import { sampleFiles } from '../../test/real-lines.test-support.ts'
import { MODES } from '../columns/codec.ts'
import { encodeColumnsBlock, ModeMemory } from '../columns/columns-block.ts'
import { openColumns } from '../columns/view.ts'
import { seededRandom, testEvents, testSeed } from '../packets.test-support.ts'
import { createNeedle } from '../query/needle.ts'
import { ColumnParts } from './column-parts.ts'
import { SoughtRows } from './sought-rows.ts'

const IS_LONG = process.env.BUCKTAIL_TEST_LONG !== undefined
const NEEDLES = IS_LONG ? 800 : 150
const FILE_BYTES = IS_LONG ? 200_000 : 60_000

test('lines found in columns are those that the matcher finds in the text', { timeout: 1_800_000 }, async t => {
  const seed = testSeed('SEARCH_SEED')
  t.comment(`SEARCH_SEED=${seed}`)
  const random = seededRandom(seed)
  const upTo = (most: number) => Math.floor(random() * most)
  let asked = 0
  let sure = 0
  let maybe = 0
  for (const { name, text } of sampleFiles(random, FILE_BYTES).files) {
    const lines = linesOf(text)
    for (const mode of MODES) {
      const memory = new ModeMemory()
      memory.mode = mode
      const block = encodeColumnsBlock(testEvents([{ lines: lines.map(line => ({ text: line })) }]), 1, memory)
      if (!block) continue
      const parts = new ColumnParts(openColumns(block))
      t.equal(parts.view.lines, lines.length)
      for (let n = 0; n < NEEDLES; n++) {
        const { sought, startsWord, endsWord } = draw(lines, upTo)
        const needle = createNeedle(sought, startsWord, endsWord)
        const verdict = SoughtRows.find(parts, needle)
        asked++
        for (const [i, line] of lines.entries()) {
          const matches = needle.occursIn(line, endOf(line))
          const isYes = verdict.yes.has(i)
          const isMaybe = verdict.maybe.has(i)
          if (isYes) sure++
          if (isMaybe) maybe++
          if ((isYes && isMaybe) || (matches ? !isYes && !isMaybe : isYes)) {
            t.fail(
              `${name}, mode ${mode}: ${JSON.stringify({ sought, startsWord, endsWord, matches, isYes, isMaybe })} ${line}`,
            )
            return
          }
        }
      }
    }
  }
  t.ok(asked > 1000)
  t.ok(sure > 10 * maybe, `${sure} of lines for sure, ${maybe} left to the matcher`)
})

function draw(lines: Buffer[], upTo: (most: number) => number) {
  const line = lines[upTo(lines.length)].toString().trimEnd()
  const words = [...line.matchAll(/[\p{L}\p{N}_]+/gu)]
  const first = words[upTo(words.length)]
  let sought =
    [...line]
      .slice(upTo(line.length))
      .slice(0, 1 + upTo(14))
      .join('') || 'x'
  if (first && upTo(3) > 0) {
    // Whole words, so that borders count.
    const last = words[Math.min(words.length - 1, words.indexOf(first) + upTo(4))]
    sought = line.slice(first.index, last.index + last[0].length)
  }
  if (upTo(4) === 0) {
    const characters = [...sought]
    characters[upTo(characters.length)] = [...'a0:. -Z9'][upTo(8)]
    sought = characters.join('')
  }
  if (upTo(3) === 0) sought = sought.toUpperCase()
  return { sought, startsWord: upTo(2) === 0, endsWord: upTo(2) === 0 }
}

function linesOf(text: Buffer): Buffer[] {
  const lines: Buffer[] = []
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf(10, at) + 1 || text.length
    lines.push(text.subarray(at, end))
    at = end
  }
  return lines
}

function endOf(line: Buffer): number {
  let end = line.length
  if (line[end - 1] === 10) end--
  if (line[end - 1] === 13) end--
  return end
}
