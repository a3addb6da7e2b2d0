// npm run test:sim -- --schedules N --seed S --faults a,b    random schedules; a failing one prints its seed and story.
import { spawnSync } from 'node:child_process'
import { Command, InvalidArgumentError } from 'commander'
import { ALL_FAULTS } from './faults.ts'
import { type Outcome, runSchedule } from './schedule.ts'

const STORY_LINES = 200
/** Killed processes of a simulation wait for ever, and what they hold stays: about 8 MB a schedule. So many per process. */
const PER_PROCESS = 100

const program = new Command('test:sim')
  .description('Random schedules of faults on simulated installations. Exit code 1 if a promise is broken.')
  .option('--schedules <count>', 'how many', wholeNumber, 200)
  .option('--seed <number>', 'of the first; the next ones count up', wholeNumber, Math.floor(Math.random() * 1e9))
  .option('--faults <names>', `of: ${Object.keys(ALL_FAULTS).join(',')}, or all`, faultNames)
  .option('--exact', 'all faults named, not a random part of them')
  .option('--story <lines>', 'how many of the last lines to print of a failure', wholeNumber, STORY_LINES)
  .parse()
const options = program.opts<{ schedules: number; seed: number; faults?: string[]; exact?: boolean; story: number }>()
const isTracedAtOnce = process.env.TRACE === '1'

const started = performance.now()
if (options.schedules > PER_PROCESS) runInParts()
else await runHere()

async function runHere(): Promise<void> {
  const failed: Outcome[] = []
  for (let i = 0; i < options.schedules; i++) {
    const scheduleOptions = { faults: options.faults, isExact: options.exact }
    const outcome = await runSchedule(options.seed + i, {
      ...scheduleOptions,
      isTraced: isTracedAtOnce,
      onLine: isTracedAtOnce ? line => console.log(line) : undefined,
    })
    if (outcome.broken.length > 0) {
      failed.push(outcome)
      await tell(outcome, scheduleOptions)
    }
    if ((i + 1) % 20 === 0 || i + 1 === options.schedules) progress(i + 1, failed.length)
  }
  if (failed.length === 0) return
  console.log(`\nbroken: ${failed.map(outcome => outcome.seed).join(' ')}`)
  process.exitCode = 1
}

function runInParts(): void {
  let partsBroken = 0
  for (let done = 0; done < options.schedules; done += PER_PROCESS) {
    const count = Math.min(PER_PROCESS, options.schedules - done)
    const given = ['--schedules', count, '--seed', options.seed + done, '--story', options.story].map(String)
    if (options.faults) given.push('--faults', options.faults.join(','))
    if (options.exact) given.push('--exact')
    const { status } = spawnSync(process.execPath, [import.meta.filename, ...given], { stdio: 'inherit' })
    if (status !== 0) partsBroken++
    const seconds = (performance.now() - started) / 1000
    console.log(`── ${done + count} of ${options.schedules} schedules, ${seconds.toFixed(0)} s`)
  }
  if (partsBroken > 0) process.exitCode = 1
}

function progress(count: number, broken: number): void {
  const seconds = (performance.now() - started) / 1000
  console.log(`${count} schedules, ${broken} with a broken promise, ${seconds.toFixed(0)} s`)
}

async function tell(outcome: Outcome, scheduleOptions: { faults?: string[]; isExact?: boolean }): Promise<void> {
  const { hosts, bucks, filesPerHost } = outcome.shape
  const size = `${hosts} hosts with ${filesPerHost} files, ${bucks} bucks, ${outcome.lines} lines, ${outcome.excused} excused, ${outcome.named} named as holes`
  console.log(`\nseed ${outcome.seed}: ${outcome.faults.join(', ') || 'no faults'}; ${size}`)
  for (const one of outcome.broken) console.log(`  ${one}`)
  if (options.story === 0 || isTracedAtOnce) return
  // The same seed tells the same story: it is only written down when it is worth it.
  const again = await runSchedule(outcome.seed, { ...scheduleOptions, isTraced: true })
  console.log(again.story.slice(-options.story).join('\n'))
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a whole number is needed')
  return Number(text)
}

function faultNames(text: string): string[] {
  if (text === 'all') return Object.keys(ALL_FAULTS)
  const names = text.split(',').filter(Boolean)
  for (const name of names) {
    if (!(name in ALL_FAULTS))
      throw new InvalidArgumentError(`"${name}" is none of ${Object.keys(ALL_FAULTS).join(', ')}`)
  }
  return names
}
