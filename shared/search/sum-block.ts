import { LEVELS, type Run } from '../events.ts'
import type { Question } from './question.ts'
import type { Rows } from './rows.ts'
import type { SearchedBlock } from './searched-block.ts'
import type { Tally } from './tally.ts'
import { RelativeTimes } from './time-order.ts'

/** Rows that columns cannot decide are written out so many at a time. */
const ROWS_AT_ONCE = 4096
const SECOND_NS = 1_000_000_000n
/** Differences of time up to here are exact in a number. */
const EXACT_NS_MAX = 2 ** 53

/** Adds the events of a block that match. */
export function sumBlock(block: SearchedBlock, question: Question, tally: Tally): void {
  const rows = matchingRows(block, question)
  const events = rows.count
  if (events === 0) return
  tally.events += events
  tally.lines += block.linesOf(rows)
  if (tally.bars) addVolume(block, rows, tally)
  if (tally.has('levels')) {
    const counts = new Uint32Array(LEVELS.length)
    const { levels } = block.fields
    for (const row of rows.list()) counts[levels[row]]++
    for (let level = 0; level < counts.length; level++) tally.countLevel(level, counts[level])
  }
  if (tally.has('paths')) eachRun(block, rows, (run, n) => tally.count('paths', run.path, n))
  if (tally.has('hosts')) countNames(block, rows, 'hosts', tally)
  if (tally.has('apps')) countNames(block, rows, 'apps', tally)
  if (tally.has('templates')) {
    block.countShapes(rows, (id, n, text) => tally.count('templates', id, n, text))
  }
}

/** For sure: those that only may match are read. */
export function matchingRows(block: SearchedBlock, question: Question): Rows {
  const { yes, maybe } = block.judge(question)
  const list = maybe.list()
  if (list.length === 0) return yes
  const { levels, hosts, apps } = block.fields
  const { runs, names } = block
  let run = 0
  let behind = runs[0]?.events ?? 0
  for (let at = 0; at < list.length; at += ROWS_AT_ONCE) {
    // More than a few are decoded with all the others at once.
    const part = list.length > block.events / 4 ? list : list.subarray(at, at + ROWS_AT_ONCE)
    const { bytes, ends } = block.textOf(part)
    for (let k = 0; k < part.length; k++) {
      const row = part[k]
      while (row >= behind) behind += runs[++run].events
      const { host, app, path } = runs[run]
      const look = {
        bytes: bytes.subarray(k === 0 ? 0 : ends[k - 1], ends[k]),
        host: names[hosts[row]] || host,
        app: names[apps[row]] || app,
        level: LEVELS[levels[row]] ?? '',
        path,
      }
      if (question.query.matches(look)) yes.add(row)
    }
    if (part.length === list.length) break
  }
  return yes
}

function addVolume(block: SearchedBlock, rows: Rows, { bars }: Tally): void {
  if (!bars) return
  const { times, levels } = block.fields
  const list = rows.list()
  const base = (times[list[0]] / SECOND_NS) * SECOND_NS
  const baseSeconds = Number(base / SECOND_NS)
  const relative = new RelativeTimes(times, base)
  for (const row of list) {
    const ns = relative.at(row)
    if (Math.abs(ns) < EXACT_NS_MAX) bars.addAt(baseSeconds + Math.floor(ns / 1e9), levels[row])
    else bars.add(times[row], levels[row])
  }
}

function eachRun(block: SearchedBlock, rows: Rows, each: (run: Run, events: number) => void): void {
  let from = 0
  for (const run of block.runs) {
    const to = from + run.events
    const events = rows.countBetween(from, to)
    if (events > 0) each(run, events)
    from = to
  }
}

function countNames(block: SearchedBlock, rows: Rows, field: 'hosts' | 'apps', tally: Tally): void {
  const ofRun = (run: Run) => (field === 'hosts' ? run.host : run.app)
  if (block.names.length <= 1) {
    eachRun(block, rows, (run, n) => tally.count(field, ofRun(run), n))
    return
  }
  const numbers = block.fields[field]
  let from = 0
  for (const run of block.runs) {
    const to = from + run.events
    const counts = new Uint32Array(block.names.length)
    for (let row = from; row < to; row++) if (rows.has(row)) counts[numbers[row]]++
    for (let i = 0; i < counts.length; i++) tally.count(field, block.names[i] || ofRun(run), counts[i])
    from = to
  }
}
