// A file that was tailed, given back byte for byte.
//
//   which incarnation ▸ of a fork: its parents' bytes first ▸ archive, and for what is not archived yet index and bucks,
//   both by offset ▸ joined ▸ hashed step by step ▸ temporary file ▸ renamed
// Overlapping copies are compared: where they differ the later epoch counts, and that is said (bin/overlay.ts).
import { createHash, type Hash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathMatcher } from '../../shared/event-filter.ts'
import type { FoundEvent } from '../../shared/events.ts'
import { STEP_BYTES } from '../../shared/manifest.ts'
import { type Range, RangeSet } from '../../shared/ranges.ts'
import { CommandError, EXIT, failure, reasonOf, usageError } from '../fail.ts'
import { Overlay, UndecidedError } from '../overlay.ts'
import { openPlace, type Place, type PlaceFlags, type PlaceSource } from '../place.ts'
import { counted, escapeControls, Output, OutputClosedError, size, table } from '../terminal.ts'

/** Ranges named in one message. */
const RANGES_SHOWN = 10
/** Forks of forks: each is a power cut that shortened the file. */
const FORKS_MAX = 1000
/** Gathered before a write: lines are short. */
const WRITE_BYTES = 1024 * 1024

interface Flags extends PlaceFlags {
  host?: string
  file?: string
  source?: string
  all?: boolean
  list?: boolean
  since?: string
  until?: string
  out?: string
  holes?: boolean
}

export async function restore(flags: Flags): Promise<number> {
  if (flags.file === undefined && flags.source === undefined) {
    throw usageError('which file? --file PATH names it as it was tailed, --source ID one incarnation of it')
  }
  if (flags.out === undefined && !flags.list)
    throw usageError('where to? --out FILE names the file to write, --list only lists')
  const place = await openPlace(flags)
  try {
    const sources = await place.sources()
    const candidates = choose(sources, flags, place.name)
    if (flags.list) return await list(place, candidates)
    if (!flags.all) return await restoreOne(place, lineage(await newest(place, candidates), sources), flags.out!, flags)
    mkdirSync(flags.out!, { recursive: true })
    let exitCode: number = EXIT.fine
    for (const source of candidates) {
      const out = join(flags.out!, `${basename(source.path)}.${source.source}`)
      exitCode = Math.max(exitCode, await restoreOne(place, lineage(source, sources), out, flags))
    }
    return exitCode
  } finally {
    await place.close()
  }
}

function isMeant({ source, host, path }: PlaceSource, flags: Flags): boolean {
  return (
    (flags.source === undefined || source === flags.source) &&
    (flags.host === undefined || host === flags.host) &&
    isNamed(path, flags.file)
  )
}

/** The incarnations meant, in any order. */
function choose(sources: PlaceSource[], flags: Flags, where: string): PlaceSource[] {
  const found = sources.filter(source => isMeant(source, flags))
  if (found.length === 0) {
    const what = [flags.source, flags.file, flags.host && `host ${flags.host}`].filter(Boolean).join(', ')
    throw failure(`${where} knows nothing of ${what}; \`bucktail ledger\` lists what was tailed`)
  }
  const names = [...new Set(found.map(({ host, path }) => `${host}:${path}`))]
  if (names.length > 1 && !flags.list && !flags.all) {
    throw usageError(
      `that names several files: ${names.slice(0, 5).join(', ')}; add --host, or the whole path with --file`,
    )
  }
  return found
}

/** The whole path, its end, or a glob. */
function isNamed(path: string, file: string | undefined): boolean {
  if (file === undefined || path === file || path.endsWith(`/${file.replace(/^\/+/, '')}`)) return true
  return /[*?[]/.test(file) && pathMatcher(file)(path)
}

/** The newest first. */
async function list(place: Place, sources: PlaceSource[]): Promise<number> {
  const dated = await Promise.all(sources.map(async source => ({ source, lastNs: await lastLineNs(place, source) })))
  const rows = dated
    .sort(compareDated)
    .map(({ source: { source, host, path, archive, recent, told }, lastNs }) => [
      source,
      escapeControls(host),
      escapeControls(path),
      held({ archive, recent }).total,
      Math.max(archive?.lines ?? 0, recent?.lines ?? 0),
      archive?.bytes ?? 0,
      lastNs < 0n ? '-' : secondText(Number(lastNs / 1_000_000n)),
      told === undefined ? '-' : secondText(told.bucket * 1000),
    ])
  const output = new Output()
  await output.line(
    table(['source', 'host', 'file', 'bytes', 'lines', 'archived', 'time of last line', 'tailed until'], rows),
  )
  await output.flush()
  return EXIT.fine
}

function secondText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** The incarnation that was tailed last, of those that no other continues. */
async function newest(place: Place, candidates: PlaceSource[]): Promise<PlaceSource> {
  const continued = new Set(candidates.map(({ parent }) => parent))
  const ends = candidates.filter(({ source }) => !continued.has(source))
  const among = (ends.length > 0 ? ends : candidates).sort(compareTold)
  // A rotation within one bucket: only the lines tell which came later.
  const level = among.filter(source => compareTold(source, among[0]) === 0)
  if (level.length === 1) return level[0]
  const dated = await Promise.all(level.map(async source => ({ source, lastNs: await lastLineNs(place, source) })))
  return dated.sort(compareDated)[0].source
}

function compareTold({ told: a }: PlaceSource, { told: b }: PlaceSource): number {
  return (b?.bucket ?? -1) - (a?.bucket ?? -1) || (b?.epochCount ?? -1) - (a?.epochCount ?? -1)
}

interface Dated {
  source: PlaceSource
  /** -1: it has no line. */
  lastNs: bigint
}

function compareDated(a: Dated, b: Dated): number {
  return compareTold(a.source, b.source) || (a.lastNs === b.lastNs ? 0 : a.lastNs < b.lastNs ? 1 : -1)
}

/** Nanoseconds since 1970. */
async function lastLineNs(place: Place, { source }: PlaceSource): Promise<bigint> {
  let last = -1n
  for (const where of ['archive', 'recent'] as const) {
    // Damage is told when the bytes are given back; for the order a line before it will do.
    for await (const event of place.search({ in: where, source, order: 'newest', limit: 1 }, () => undefined)) {
      if (event.timeNs > last) last = event.timeNs
    }
  }
  return last
}

/** What makes up a file: for a fork, its parent's bytes up to where it begins, and so on. Oldest first, itself last. */
function lineage(source: PlaceSource, sources: PlaceSource[]): Part[] {
  const parts: Part[] = [{ source, until: Number.POSITIVE_INFINITY }]
  let from = source
  while (from.parent !== undefined && parts.length < FORKS_MAX) {
    const parent = sources.find(other => other.source === from.parent)
    if (parent === undefined) break
    parts.unshift({ source: parent, until: Math.min(from.start, parts[0].until) })
    from = parent
  }
  return parts
}

/** The bytes of a source before `until`. */
interface Part {
  source: PlaceSource
  until: number
}

async function restoreOne(place: Place, parts: Part[], out: string, flags: Flags): Promise<number> {
  const { source } = parts.at(-1)!
  const isPart = flags.since !== undefined || flags.until !== undefined
  const sink = out === '-' ? new StandardSink() : new FileSink(out)
  try {
    const result = await writeParts(place, parts, sink, flags)
    const { holes, bytes, conflicts } = result
    const named = `of ${escapeControls(`${source.host}:${source.path}`)} (${source.source})`
    if (conflicts.length > 0) {
      process.stderr.write(
        `bucktail: bytes ${rangesText(conflicts)} ${named} are held twice and differ: they changed while the tailer was down; what it read last was taken\n`,
      )
    }
    if (holes.length > 0 && !isPart) {
      const sentence = `bytes ${rangesText(holes)} ${named} are missing`
      if (!flags.holes)
        throw new CommandError(EXIT.holes, `${sentence}; nothing was written, --holes writes what there is`)
      process.stderr.write(`bucktail: ${sentence}\n`)
    }
    if (result.redactedEvents > 0) {
      process.stderr.write(
        `bucktail: ${counted(result.redactedEvents, 'event')} ${named} had bytes redacted on their machine: what is written has a * for each hidden byte\n`,
      )
    }
    await sink.commit()
    const proof = isPart
      ? ''
      : `, ${result.checked === 0 ? 'no step hashes known' : `step hashes that agree: ${result.checked}`}`
    process.stderr.write(
      `bucktail: ${escapeControls(source.path)} of ${escapeControls(source.host)}: ${size(bytes)}, sha256 ${result.sha256}${proof}${out === '-' ? '' : `, written to ${out}`}\n`,
    )
    return holes.length > 0 && !isPart ? EXIT.holes : EXIT.fine
  } catch (error) {
    sink.discard()
    if (error instanceof CommandError || error instanceof OutputClosedError) throw error
    throw failure(`cannot write ${out}: ${reasonOf(error)}`, error)
  }
}

function rangesText(ranges: Range[]): string {
  const more = ranges.length - RANGES_SHOWN
  const shown = ranges.slice(0, RANGES_SHOWN).map(([from, to]) => `${from}–${to}`)
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '')
}

interface Written {
  bytes: number
  sha256: string
  holes: Range[]
  /** Where two epochs held different bytes. */
  conflicts: Range[]
  /** Steps whose hash the tailer had told and that agree. */
  checked: number
  /** With hidden bytes. */
  redactedEvents: number
}

async function writeParts(place: Place, parts: Part[], sink: Sink, flags: Flags): Promise<Written> {
  const whole = createHash('sha256')
  const written = new RangeSet()
  const conflicts = new RangeSet()
  let bytes = 0
  let checked = 0
  const redacted = { events: 0, until: 0 }
  for (const part of parts) {
    const steps = new StepCheck(await place.stepHashes(part.source.source), part.source, conflicts)
    for await (const { from, text } of textOf(place, part, written.end, conflicts, flags, redacted)) {
      await sink.write(text)
      whole.update(text)
      steps.update(from, text)
      written.add(from, from + text.length)
      bytes += text.length
    }
    checked += steps.checked
  }
  const [{ source: first }] = parts
  const { source: last } = parts.at(-1)!
  // A parent that is not held any more: its bytes are missing, too.
  const start = first.parent === undefined ? first.start : 0
  const until = Math.max(written.end, held(last).end, last.told?.to ?? 0)
  return {
    bytes,
    sha256: whole.digest('hex'),
    holes: written.gaps(start, until),
    conflicts: [...conflicts],
    checked,
    redactedEvents: redacted.events,
  }
}

/** The bytes from `end` on, each once, in order. */
async function* textOf(
  place: Place,
  { source, until }: Part,
  end: number,
  conflicts: RangeSet,
  flags: Flags,
  redacted: { events: number; until: number },
): AsyncGenerator<{ from: number; text: Buffer }> {
  const overlay = new Overlay((from, to) => conflicts.add(from, to))
  for await (const event of bothPlaces(place, source, flags)) {
    if (event.from >= until) break
    const from = Math.max(event.from, end)
    const to = Math.min(event.to, until)
    if (to <= from) continue
    if (event.isRedacted && event.from >= redacted.until) {
      redacted.events++
      redacted.until = event.to
    }
    for (const { from, bytes } of overlay.take(event.from)) yield { from, text: bytes }
    try {
      overlay.add({ ...event, from, bytes: event.bytes.subarray(from - event.from, to - event.from) })
    } catch (error) {
      throw error instanceof UndecidedError ? undecided(error, source) : error
    }
  }
  for (const { from, bytes } of overlay.take(Number.POSITIVE_INFINITY)) yield { from, text: bytes }
}

function undecided({ from, to }: UndecidedError, { host, path, source }: PlaceSource): Error {
  return failure(
    `two different contents are held for bytes ${from}–${to} of ${host}:${path} (${source}); ` +
      '`bucktail search --json --file PATH` shows both with the tailer they came from',
  )
}

/** Also what settings of its tailer dropped: its bytes are blanks, but they are there. */
const ALL = 'level:dropped OR -level:dropped'

/** Archive and recent, merged by offset: the archive lacks the youngest, the index the oldest. */
async function* bothPlaces(place: Place, source: PlaceSource, flags: Flags): AsyncGenerator<FoundEvent> {
  const ask = (where: 'archive' | 'recent') =>
    place.search(
      { in: where, q: ALL, source: source.source, since: flags.since, until: flags.until, order: 'offset' },
      ({ where: damaged, reason }) =>
        process.stderr.write(`bucktail: damaged: ${escapeControls(`${damaged}: ${reason}`)}\n`),
    )
  const archive = ask('archive')
  const recent = ask('recent')
  try {
    let a = await archive.next()
    let b = await recent.next()
    while (!a.done || !b.done) {
      if (b.done || (!a.done && a.value.from <= b.value.from)) {
        yield a.value
        a = await archive.next()
      } else {
        yield b.value
        b = await recent.next()
      }
    }
  } finally {
    await archive.return(undefined)
    await recent.return(undefined)
  }
}

/** Hashes whole steps of the source as they pass, and compares those that the tailer told. */
class StepCheck {
  readonly #known: Map<number, string>
  readonly #source: PlaceSource
  /** Hashes of these bytes may be those of the epoch that did not count. */
  readonly #conflicts: RangeSet
  #hash: Hash | undefined
  #at = 0
  checked = 0

  constructor(known: Map<number, string>, source: PlaceSource, conflicts: RangeSet) {
    this.#known = known
    this.#source = source
    this.#conflicts = conflicts
  }

  update(from: number, bytes: Buffer): void {
    // After a hole only the next whole step can be checked.
    if (from !== this.#at) {
      this.#hash = undefined
      this.#at = from
    }
    for (let done = 0; done < bytes.length; ) {
      const inStep = this.#at % STEP_BYTES
      if (inStep === 0) this.#hash = createHash('sha256')
      const length = Math.min(bytes.length - done, STEP_BYTES - inStep)
      this.#hash?.update(bytes.subarray(done, done + length))
      done += length
      this.#at += length
      if (this.#at % STEP_BYTES === 0 && this.#hash !== undefined) this.#compare(this.#at / STEP_BYTES - 1, this.#hash)
    }
  }

  #compare(step: number, hash: Hash): void {
    const known = this.#known.get(step)
    if (known === undefined) return
    if (hash.digest('hex') !== known) {
      if (this.#conflicts.overlaps(step * STEP_BYTES, (step + 1) * STEP_BYTES)) return
      const { host, path, source } = this.#source
      throw failure(
        `bytes ${step * STEP_BYTES}–${(step + 1) * STEP_BYTES} of ${host}:${path} (${source}) do not have the hash that the tailer signed; \`bucktail fsck\` finds what is damaged`,
      )
    }
    this.checked++
  }
}

/** Which bytes there are, wherever. */
function held({ archive, recent }: Pick<PlaceSource, 'archive' | 'recent'>): RangeSet {
  return new RangeSet([...(archive?.ranges ?? []), ...(recent?.ranges ?? [])])
}

interface Sink {
  write(bytes: Buffer): Promise<void>
  commit(): Promise<void>
  discard(): void
}

class FileSink implements Sink {
  readonly #path: string
  readonly #temporary: string
  #handle: number | undefined
  #parts: Buffer[] = []
  #bytes = 0

  constructor(path: string) {
    this.#path = path
    this.#temporary = `${path}.${process.pid}.part`
  }

  async write(bytes: Buffer): Promise<void> {
    this.#parts.push(bytes)
    this.#bytes += bytes.length
    if (this.#bytes >= WRITE_BYTES) this.#flush()
  }

  async commit(): Promise<void> {
    const handle = this.#flush()
    fsyncSync(handle)
    closeSync(handle)
    this.#handle = undefined
    renameSync(this.#temporary, this.#path)
  }

  discard(): void {
    if (this.#handle !== undefined) closeSync(this.#handle)
    this.#handle = undefined
    rmSync(this.#temporary, { force: true })
  }

  #flush(): number {
    this.#handle ??= openSync(this.#temporary, 'w')
    const chunk = Buffer.concat(this.#parts, this.#bytes)
    for (let at = 0; at < chunk.length; ) at += writeSync(this.#handle, chunk, at)
    this.#parts = []
    this.#bytes = 0
    return this.#handle
  }
}

/** Holes are found at the end: what went to a pipe cannot be taken back, the exit code tells. */
class StandardSink implements Sink {
  readonly #output = new Output()

  write(bytes: Buffer): Promise<void> {
    return this.#output.write(bytes)
  }

  commit(): Promise<void> {
    return this.#output.flush()
  }

  discard(): void {
    // Nothing to take back.
  }
}
