// The tasks of the porter by hand: fill an index from the archive, the archive from the index, take a copy along, help
// with what others began, make room at the bucks. Each may be started on several machines at the same time: the same range
// is one task, whose jobs they share.
import { hostname, userInfo } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  boundsOf,
  COPY_KIND,
  type CopyEstimate,
  type CopyParams,
  type CopyResult,
  type CopyTask,
  copyJobs,
  estimateOf,
  newTaskId,
} from '../../shared/copy-task.ts'
import { ElasticStore } from '../../shared/elastic/elastic-store.ts'
import { BadTimeError, parseTime } from '../../shared/face/time-text.ts'
import { parseQuery } from '../../shared/query.ts'
import { RangeSet } from '../../shared/ranges.ts'
import { type Release, Releases } from '../../shared/releases.ts'
import { SegmentStore } from '../../shared/segment-store.ts'
import type { EventQuestion, EventStore } from '../../shared/stores.ts'
import { EXIT, failure, usageError } from '../fail.ts'
import { type IncidentFlags, type IncidentPlace, openIncidentPlace } from '../incident-place.ts'
import { Progress } from '../progress.ts'
import { count, counted, escapeControls, Output, size } from '../terminal.ts'

const LOOK_EVERY_MS = 500
const PRUNE_MS = 60_000
const DAY_MS = 86_400_000
const REJECTS_SHOWN = 20

interface CopyFlags extends IncidentFlags {
  since?: string
  until?: string
  host?: string
  app?: string
  file?: string
  dryRun?: boolean
}

/** Archive ▸ recent index. */
export function index(flags: CopyFlags): Promise<number> {
  return copy(flags, { from: 'archive', to: 'index' })
}

/** Recent index ▸ archive: what no buck has any more. */
export function archive(flags: CopyFlags): Promise<number> {
  return copy(flags, { from: 'index', to: 'archive' })
}

/** Index or archive ▸ an archive of its own in a folder. */
export function exportTo(flags: CopyFlags & { to?: string; from: 'index' | 'archive' }): Promise<number> {
  if (flags.to === undefined) throw usageError('where to? --to names a folder; it becomes an archive of its own')
  return copy(flags, { from: flags.from, to: 'folder', folder: resolve(flags.to) })
}

/** Until it is told to stop; `--once`: until nothing is left to do. */
export async function work(flags: IncidentFlags & { once?: boolean }): Promise<number> {
  const place = await openIncidentPlace(flags)
  const stop = stopOnSignal()
  const progress = new Progress()
  const jobs = place.jobs()
  process.stderr.write(
    `bucktail: ${place.worker} helps with the tasks beside ${place.archivePlace.name}; Ctrl-C ends it\n`,
  )
  if (place.dialer === undefined) {
    process.stderr.write('bucktail: there is no pass of a porter here: jobs that ask the bucks are left to others\n')
  }
  try {
    const running = jobs.run(stop.signal)
    while (!stop.signal.aborted) {
      const { task, job, jobsDone, lastError } = jobs.status()
      progress.show(0, task === undefined ? `waiting, ${counted(jobsDone, 'job')} done` : `job ${job} of ${task}`)
      if (flags.once && task === undefined && (await isAllDone(place))) stop.abort()
      if (flags.once && lastError !== undefined && place.archivePlace.trouble() !== undefined) throw failure(lastError)
      await sleep(LOOK_EVERY_MS, undefined, { signal: stop.signal }).catch(() => undefined)
    }
    await running
  } finally {
    progress.end()
    await place.close()
  }
  await say(`${counted(jobs.status().jobsDone, 'job')} done`)
  return EXIT.fine
}

/** Archived buckets before a time leave the bucks' disks, whatever their own retention says. */
export async function prune(flags: CopyFlags): Promise<number> {
  if (flags.until === undefined) throw usageError('up to when? --until names the time before which archived packets go')
  const place = await openIncidentPlace(flags)
  try {
    const { settings, world, dialer } = place
    if (dialer === undefined) throw failure('there is no pass of a porter here, and bucks let nobody else prune')
    const before = Number(timeOf('until', flags.until, world.clock.now()) / 1_000_000_000n)
    if (before * 1000 > world.clock.now() + DAY_MS) throw usageError(`--until ${flags.until} is in the future`)
    for (const address of settings.bucks) {
      const link = await dialer.dial(address)
      try {
        if (flags.dryRun) {
          const { body } = await link.ask('changes', { logId: '', after: 0, waitMs: 0 }, undefined, PRUNE_MS)
          const older = body.buckets.filter(bucket => bucket < before).length
          await say(`${address}: ${counted(older, 'bucket')} are older; what of them is archived would go`)
        } else {
          const { body } = await link.ask('prune', { before }, undefined, PRUNE_MS)
          await say(`${address}: ${counted(body.packets, 'packet')} gone, ${size(body.bytes)}`)
        }
      } finally {
        link.close('done')
      }
    }
    return EXIT.fine
  } finally {
    await place.close()
  }
}

/** One host's lines leave index and archive for good. */
export async function erase(flags: CopyFlags & { why?: string }): Promise<number> {
  const { host, app, file, why } = flags
  if (host === undefined) throw usageError('whose lines? --host names the host, as `bucktail ledger` shows it')
  if (why === undefined || why.trim() === '') throw usageError('why? --why TEXT is shown in the ledger')
  const place = await openIncidentPlace(flags)
  try {
    const { world, archive, index, archiveObjects } = place
    const now = world.clock.now()
    const question = {
      query: parseQuery(''),
      withDropped: true,
      host,
      ...(app && { app }),
      ...(file && { file }),
      ...(flags.since !== undefined && { sinceNs: timeOf('since', flags.since, now) }),
      ...(flags.until !== undefined && { untilNs: timeOf('until', flags.until, now) }),
    }
    const sources = await rangesOf(archive, question)
    const stores = [archive, ...(index instanceof SegmentStore || index instanceof ElasticStore ? [index] : [])]
    if (flags.dryRun) {
      const events = (await archive.summarise(question)).events
      await say(
        `${counted(events, 'event')} of ${counted(sources.length, 'source')} would leave the archive, and the index`,
      )
      return EXIT.fine
    }
    const who = `${userInfo().username}@${hostname()}`
    if (sources.length > 0) {
      await new Releases(archiveObjects).add({ kind: 'erased', why, who, atMs: Math.floor(now), sources })
    }
    let events = 0
    for (const store of stores) events = Math.max(events, (await store.erase(question)).events)
    await say(
      `${counted(events, 'event')} of ${escapeControls(host)} erased; the old files go within the hour, when the porter tidies`,
    )
    await say('the bucks keep their copies for their retention: `bucktail incident prune` makes them go')
    return EXIT.fine
  } finally {
    await place.close()
  }
}

async function rangesOf(archive: EventStore, question: EventQuestion): Promise<Release['sources']> {
  const totals = new Map((await archive.totals()).map(one => [one.source, one]))
  const ranges = new Map<string, RangeSet>()
  for await (const { source, from, to } of archive.search({ ...question, order: 'offset' })) {
    const own = ranges.get(source) ?? new RangeSet()
    own.add(from, to)
    ranges.set(source, own)
  }
  return [...ranges].map(([source, own]) => {
    const { host = '', path = '', start = 0 } = totals.get(source) ?? {}
    return { source, host, path, start, ranges: [...own] }
  })
}

/** Documents that Elasticsearch refused are sent again, once what kept them out is mended. */
export async function rejectReplay(flags: IncidentFlags & { dryRun?: boolean }): Promise<number> {
  const place = await openIncidentPlace(flags)
  try {
    const { index } = place
    if (!(index instanceof ElasticStore)) {
      throw usageError('these settings have no index in Elasticsearch: nothing refuses documents')
    }
    if (flags.dryRun) {
      const rejects = await index.rejects.read()
      for (const { id, reason } of rejects.slice(0, REJECTS_SHOWN)) await say(escapeControls(`${id}: ${reason}`))
      await say(`${counted(rejects.length, 'document')} in ${index.rejects.path}`)
      return EXIT.fine
    }
    const { indexed, refused } = await index.replayRejects()
    await say(`${counted(indexed, 'document')} indexed, ${count(refused)} refused again (${index.rejects.path})`)
    return refused > 0 ? EXIT.holes : EXIT.fine
  } finally {
    await place.close()
  }
}

async function copy(flags: CopyFlags, what: Pick<CopyParams, 'from' | 'to' | 'folder'>): Promise<number> {
  const place = await openIncidentPlace(flags)
  try {
    const { world, board } = place
    const now = world.clock.now()
    const sinceNs = flags.since === undefined ? FIRST_NS : timeOf('since', flags.since, now)
    const untilNs = flags.until === undefined ? LAST_NS : timeOf('until', flags.until, now)
    if (sinceNs >= untilNs) throw usageError('--since is not before --until: nothing can be in between')
    const { host, app, file } = flags
    const params = {
      ...what,
      sinceNs: `${sinceNs}`,
      untilNs: `${untilNs}`,
      ...(host && { host }),
      ...(app && { app }),
      ...(file && { file }),
    }
    const { estimate, jobs } = await planOf(place, params)
    process.stderr.write(`bucktail: ${estimateText(estimate)}\n`)
    if (flags.dryRun) return EXIT.fine
    const joined = await findSame(place, params)
    const id = joined ?? newTaskId(now, world.random.bytes(4))
    if (joined !== undefined) process.stderr.write(`bucktail: somebody began this already: helping with task ${id}\n`)
    else {
      const task: CopyTask = {
        id,
        kind: COPY_KIND,
        createdMs: now,
        by: `${userInfo().username}@${hostname()}`,
        // The record stays for a day, so that others see what came of it.
        params: { ...params, estimate, keepMs: DAY_MS },
        jobs,
      }
      await board.add(task as never)
    }
    return await runToEnd(place, id, estimate)
  } finally {
    await place.close()
  }
}

/** All times that an event can have: lines name years before 1970, and days that are still to come. */
const FIRST_NS = -(2n ** 63n)
const LAST_NS = 2n ** 63n - 1n

async function runToEnd(place: IncidentPlace, id: string, estimate: CopyEstimate): Promise<number> {
  const { board } = place
  const stop = stopOnSignal()
  const progress = new Progress()
  const jobs = place.jobs(id)
  const running = jobs.run(stop.signal).finally(() => stop.abort())
  let told: string | undefined
  try {
    while (!stop.signal.aborted) {
      await sleep(LOOK_EVERY_MS, undefined, { signal: stop.signal }).catch(() => undefined)
      const keys = await board.keysOf(id)
      const task = await board.task(id)
      if (!keys || !task) continue
      let read = 0
      for (const job of keys.done) read += (await board.result<CopyResult>(id, job))?.read ?? 0
      for (const [job, claim] of keys.claims) {
        if (!keys.done.has(job)) read += Number((await board.readBeat(id, job, claim))?.progress?.read ?? 0)
      }
      const fraction = Math.max(keys.done.size / task.jobs.length, Math.min(0.99, read / Math.max(1, estimate.events)))
      progress.show(fraction, `${counted(read, 'event')}, ${keys.done.size} of ${counted(task.jobs.length, 'job')}`)
      const { lastError } = jobs.status()
      if (lastError !== undefined && lastError !== told) {
        progress.end()
        process.stderr.write(`bucktail: ${escapeControls(lastError)}; it is tried again\n`)
      }
      told = lastError
    }
    await running
  } finally {
    progress.end()
  }
  const ended = await board.ended(id)
  if (ended?.state !== 'done') throw failure(`stopped; the same command goes on where it was (task ${id})`)
  const { read, added, bytes, workMs, damages } = ended.result as unknown as CopyResult
  const rate = workMs > 0 ? `, ${size(Math.round(bytes / (workMs / 1000)))} of text a second` : ''
  await say(`${counted(read, 'event')} read, ${count(added)} new, ${count(read - added)} there already${rate}`)
  for (const damage of damages) process.stderr.write(`bucktail: not read: ${escapeControls(damage)}\n`)
  return damages.length > 0 ? EXIT.holes : EXIT.fine
}

async function planOf(place: IncidentPlace, params: Omit<CopyParams, 'estimate' | 'keepMs'>) {
  const sinceNs = BigInt(params.sinceNs)
  const untilNs = BigInt(params.untilNs)
  const source: EventStore & { summaries?: IncidentPlace['archive']['summaries'] } = place[params.from]
  if (source.summaries) {
    const summaries = await source.summaries()
    const estimate = estimateOf(summaries, sinceNs, untilNs)
    return { estimate, jobs: copyJobs(sinceNs, untilNs, estimate.rawBytes, boundsOf(summaries)) }
  }
  // Another kind of index counts, and tells when its first and last bars are.
  const question = { query: parseQuery(''), withDropped: true, sinceNs, untilNs, volume: true }
  const { events, volume } = await source.summarise(question)
  const bytes = (await source.totals()).reduce((sum, totals) => sum + totals.bytes, 0)
  const estimate = { segments: 0, bytes, rawBytes: bytes, events }
  const bars = volume?.bars ?? []
  const bounds =
    bars.length === 0
      ? undefined
      : {
          leastNs: BigInt(bars[0].atMs) * 1_000_000n,
          greatestNs: BigInt(bars[bars.length - 1].atMs + (volume?.stepSeconds ?? 0) * 1000) * 1_000_000n,
        }
  return { estimate, jobs: copyJobs(sinceNs, untilNs, bytes, bounds) }
}

/** A task of these parameters that is not over. */
async function findSame({ board }: IncidentPlace, params: Record<string, unknown>): Promise<string | undefined> {
  for (const keys of await board.list()) {
    if (keys.isEnded) continue
    const task = await board.task(keys.id)
    if (task?.kind !== COPY_KIND) continue
    const { estimate: _, keepMs: __, ...own } = task.params
    if (JSON.stringify(Object.entries(own).sort()) === JSON.stringify(Object.entries(params).sort())) return keys.id
  }
  return undefined
}

async function isAllDone({ board, dialer }: IncidentPlace): Promise<boolean> {
  for (const keys of await board.list()) {
    if (keys.isEnded) continue
    const task = (await board.task(keys.id)) as CopyTask | undefined
    // Left to those who may ask the bucks, or who were started for this folder.
    if (task?.params.to === 'history' && dialer === undefined && !keys.done.has(0)) continue
    if (task?.params.to === 'folder') continue
    return false
  }
  return true
}

function stopOnSignal(): AbortController {
  const stop = new AbortController()
  const stopNow = () => stop.abort()
  process.once('SIGINT', stopNow)
  process.once('SIGTERM', stopNow)
  return stop
}

function timeOf(name: string, text: string, nowMs: number): bigint {
  try {
    return parseTime(text, nowMs)
  } catch (error) {
    if (error instanceof BadTimeError) throw usageError(`--${name}: ${error.message}`, error)
    throw error
  }
}

function estimateText({ segments, bytes, events }: CopyEstimate): string {
  return `about ${counted(events, 'event')} in ${counted(segments, 'segment')}, ${size(bytes)} to read`
}

async function say(text: string): Promise<void> {
  const output = new Output()
  await output.line(text)
  await output.flush()
}
