// Everything on this machine, each role as a child process.
//
//   settings ▸ files ▸ data folder and its lock ▸ ports ▸ keys ▸ children ▸ (until Ctrl-C | --once: all archived) ▸ drain ▸ report
import { existsSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Loaded } from '../../config/load.ts'
import type { Ledger } from '../../shared/ledger.ts'
import { askArchie } from '../archie-place.ts'
import type { OnceProgress } from '../child-messages.ts'
import { type FolderLock, lockAfterFormerRun, lockFolder, openDataFolder, ownFolders } from '../data-folder.ts'
import { EXIT, failure, reasonOf, usageError } from '../fail.ts'
import { type FilesGiven, filesGiven, filesOfSettings } from '../files-given.ts'
import { ARCHIE_PORT, checkPortsFree, type FleetPlan, planFleet } from '../fleet-here.ts'
import { makeKeys } from '../keyring.ts'
import { type OnceReport, reportOnce, sourcesSnapshot, waitUntilAllIsThere } from '../once-report.ts'
import { keepFilesPrivate } from '../private-files.ts'
import { startSamples } from '../samples.ts'
import { settingsOf } from '../settings.ts'
import { Child } from '../supervise.ts'
import { bold, COMMAND, counted, dim, Output, size } from '../terminal.ts'

const PASS_LIFE_MS = 10 * 365 * 86_400_000
/** Beside archie's: its fleet takes 80 ports below and 10 above. */
const PORT_LEAST = 1104
const SAMPLE_LINES_PER_SECOND = 200
/** The ledger at the end of `up`. */
const LAST_SUMS_MS_MAX = 3_000
const SAMPLE_SEED = 20_260_301
/** Files named in the summary; the rest is a number. */
const FILES_SHOWN = 8

interface Flags {
  once?: boolean
  samples?: boolean
  port?: number
  data?: string
  bucketTime?: string
  host?: string
  ignoreMissing?: boolean
  config?: string
}

export async function up(given: string[], flags: Flags): Promise<number> {
  if (flags.samples && flags.once)
    throw usageError('--samples writes for ever and --once reads to the end: use one of them')
  if (flags.port !== undefined && flags.port < PORT_LEAST) {
    throw usageError(
      `--port ${flags.port}: the fleet needs the 80 ports below it too; choose one from ${PORT_LEAST} on`,
    )
  }
  const loaded = settingsOf(flags, {
    flags: { bucket_time: flags.bucketTime, 'tailer.host': flags.host },
    defaults: { bucket_time: '10s' },
  })
  for (const { where, message } of loaded.warnings) process.stderr.write(`bucktail: ${where}: ${message}\n`)
  const data = resolve(loaded.settings.data)
  const files = chosenFiles(given, flags, loaded, data)
  const named = await filesOfSettings(loaded.settings.tailer, ownFolders(data))
  files.files = [...new Set([...files.files, ...named])].sort()

  keepFilesPrivate()
  openDataFolder(data)
  const locks: FolderLock[] = [await lockFolder(data)]
  const children: Child[] = []
  const stopRequest = stopOnSignals(children)
  let samples: { files: string[]; stop(): void } | undefined
  try {
    const keys = resolve(loaded.settings.channel.keys ?? join(data, 'keys'))
    if (flags.samples) {
      const folder = join(data, 'samples')
      samples = startSamples({
        folder,
        seed: SAMPLE_SEED,
        linesPerSecond: SAMPLE_LINES_PER_SECOND,
        onError: error => stopRequest.fail(failure(`cannot write samples into ${folder}: ${reasonOf(error)}`, error)),
      })
      files.patterns.push(...samples.files)
      files.files.push(...samples.files)
    }
    const plan = planFleet({
      data,
      keys,
      archiePort: flags.port ?? ARCHIE_PORT,
      isOnce: flags.once === true,
      base: {
        ...loaded.tree,
        tailer: {
          ...loaded.tree.tailer,
          host: loaded.settings.tailer.host ?? hostname(),
          files: [...files.patterns, ...(loaded.tree.tailer?.files ?? [])],
        },
      },
      settings: loaded.settings,
    })
    await waitForFormerRun(plan.roleFolders)
    await checkPortsFree(plan.listens)
    prepareKeys(keys, loaded, plan)

    const say = flags.once ? new OnceScreen() : undefined
    const done = Promise.withResolvers<void>()
    /** As the tailer said last. */
    let unreadBytes = 0
    for (const spec of plan.children) {
      children.push(
        new Child(spec, {
          onDeath: (name, how, againInMs) => note(`${name} died (${how}); starting it again in ${againInMs} ms`),
          onTrouble: (name, message) => note(`${name}: ${message}`),
          onProgress: progress => {
            unreadBytes = progress.size - progress.read
            say?.show(progress)
          },
          onDone: name => name === 'tailer' && done.resolve(),
        }),
      )
    }
    // Not the tailer yet: what was there before is what a second run must not add to.
    const [tailer] = children.splice(children.length - 1, 1)
    await stopRequest.or(Promise.all(children.map(child => child.start())))
    const before = flags.once ? await sourcesSnapshot(plan.archieUrl) : undefined
    const sizes = new Map(files.files.map(path => [path, statSync(path, { throwIfNoEntry: false })?.size ?? 0]))
    children.push(tailer)
    await stopRequest.or(tailer.start())

    if (before === undefined) {
      await summary(data, plan, files, loaded.settings.tailer.host ?? hostname())
      await stopRequest.or(new Promise(() => undefined))
      samples?.stop()
      await stopTailer(children)
      const sums = await sumsWithin(plan.archieUrl, LAST_SUMS_MS_MAX)
      await stopAll(children)
      if (sums !== undefined) note(sums)
      note(`stopped; the same command goes on where this one ended (${here(data)})`)
      return EXIT.fine
    }
    if ((await stopRequest.or(done.promise)) === 'stopped') throw interrupted(data)
    const report = await stopRequest.or(
      waitUntilAllIsThere({ archie: plan.archieUrl, porter: plan.porterUrl }, files.files, before, sizes),
    )
    say?.end()
    if (report === 'stopped') throw interrupted(data)
    await stopAll(children)
    const exitCode = await printReport(report, data)
    if (unreadBytes === 0) return exitCode
    note(
      `${size(unreadBytes)} could not be read; ${here(data)}/log/tailer.log says why, and the same command goes on there`,
    )
    return EXIT.holes
  } finally {
    samples?.stop()
    await stopAll(children)
    for (const lock of locks) lock.release()
    stopRequest.dispose()
  }
}

function chosenFiles(given: string[], flags: Flags, loaded: Loaded, data: string): FilesGiven {
  const files = filesGiven(given, ownFolders(data))
  if (files.isOwnLeftOut) note(`${here(data)} is bucktail's own data folder: nothing in it is tailed`)
  if (given.length === 0 && !flags.samples && loaded.settings.tailer.files.length === 0) {
    throw usageError(
      "which files? For example `bucktail up '/var/log/**/*.log'`, or `bucktail up --samples` to see it work on logs that it makes itself",
    )
  }
  const sentences = files.problems.map(problem => problem.sentence)
  if (sentences.length === 0) return files
  const isFatal = flags.once ? !flags.ignoreMissing : files.patterns.length === 0 && !flags.samples
  if (isFatal) {
    const more = flags.once ? ' (nothing was started; --ignore-missing goes on without)' : ''
    throw usageError(sentences.join('\nbucktail: ') + more)
  }
  for (const sentence of sentences) note(`${sentence}; going on without it`)
  return files
}

/** Children of an `up` that was killed drain for some seconds: they hold folders and ports until then. */
async function waitForFormerRun(folders: string[]): Promise<void> {
  for (const folder of folders.filter(existsSync)) (await lockAfterFormerRun(folder)).release()
}

function prepareKeys(folder: string, loaded: Loaded, plan: FleetPlan): void {
  try {
    makeKeys(folder, {
      environment: loaded.settings.environment,
      nodes: plan.nodes,
      notAfterMs: Date.now() + PASS_LIFE_MS,
      renew: false,
    })
  } catch (error) {
    throw failure(`cannot make keys in ${folder}: ${reasonOf(error)}`, error)
  }
}

async function summary(data: string, plan: FleetPlan, files: FilesGiven, host: string): Promise<void> {
  const shown = files.files.slice(0, FILES_SHOWN).map(here)
  const more = files.files.length - shown.length
  const output = new Output()
  await output.write(`
${bold('bucktail is up')} ${dim('(Ctrl-C stops it; nothing is lost)')}

  live page   ${bold(plan.archieUrl)}
  tailing     ${shown.join('\n              ')}${more > 0 ? `\n              and ${counted(more, 'more file')}` : ''}
              as host ${host}
  data        ${here(data)} ${dim('(index/ recent lines, archive/ for ever, log/ what the processes say)')}
  search      ${COMMAND} search error --archie ${plan.archieUrl}
  prove       ${COMMAND} ledger --archie ${plan.archieUrl}

`)
  await output.flush()
}

/** A line that is overwritten on a terminal; elsewhere nothing until the end. */
class OnceScreen {
  show({ files, read, size: total, packetsWaiting }: OnceProgress): void {
    if (!process.stderr.isTTY) return
    const share = total === 0 ? 100 : Math.floor((100 * read) / total)
    const line = `reading ${counted(files, 'file')}: ${share} % of ${size(total)}, ${counted(packetsWaiting, 'packet')} not archived yet`
    process.stderr.write(`\r\x1b[K${line}`)
  }

  end(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  }
}

async function printReport(report: OnceReport, data: string): Promise<number> {
  const output = new Output()
  await output.write(reportOnce(report, here(data)))
  await output.flush()
  return report.holes.length > 0 || report.missing.length > 0 ? EXIT.holes : EXIT.fine
}

function interrupted(data: string): Error {
  return failure(`stopped before all was archived; the same command goes on where it was (${here(data)})`)
}

interface StopRequest {
  /** The work's result, or 'stopped' when Ctrl-C came first. Rejects when the work does, or after `fail`. */
  or<T>(work: Promise<T>): Promise<T | 'stopped'>
  fail(error: Error): void
  dispose(): void
}

/** The first SIGINT or SIGTERM drains, the second kills. */
function stopOnSignals(children: Child[]): StopRequest {
  const stop = Promise.withResolvers<'stopped'>()
  // Raced against the children further on; a rejection before that is no unhandled one.
  stop.promise.catch(() => undefined)
  let signals = 0
  const onSignal = () => {
    signals++
    if (signals === 1) {
      note('stopping: what was read goes to the disk and to the bucks (again Ctrl-C: at once)')
      stop.resolve('stopped')
      return
    }
    for (const child of children) child.kill()
    process.exit(EXIT.failed)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    or: work => Promise.race([work, stop.promise]),
    fail: error => stop.reject(error),
    dispose: () => {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}

/** First: its last packets need the bucks. */
async function stopTailer(children: Child[]): Promise<void> {
  await children.find(child => child.name === 'tailer')?.stop()
}

/** Undefined if archie does not say in time: nobody waits longer for a farewell. */
async function sumsWithin(archieUrl: string, ms: number): Promise<string | undefined> {
  const asked = askArchie<Ledger>(archieUrl, '/api/v1/ledger').then(
    ({ totals }) =>
      `read ${size(totals.read)}, ${size(totals.heldTwice)} of it held by two bucks or archived, ${size(totals.indexed)} indexed, ${size(totals.archived)} archived`,
    () => undefined,
  )
  return await Promise.race([asked, sleep(ms, undefined, { ref: false })])
}

async function stopAll(children: Child[]): Promise<void> {
  await stopTailer(children)
  const tailer = children.find(child => child.name === 'tailer')
  await Promise.all(children.filter(child => child !== tailer).map(child => child.stop()))
}

function note(sentence: string): void {
  process.stderr.write(`bucktail: ${sentence}\n`)
}

/** Relative where that is shorter. */
function here(path: string): string {
  const short = relative(process.cwd(), path)
  return short.startsWith('..') || short === '' ? path : short
}
