// Counts what goes into the current bucket and, when it is over, writes the tailer's signed word on it: the manifest.
import { droppedIn, withDropped } from '../shared/dropped.ts'
import type { Events, Run } from '../shared/events.ts'
import type { NodeKeys } from '../shared/keys.ts'
import { type GivenUp, type Manifest, type ManifestSource, manifestDigest, signManifest } from '../shared/manifest.ts'
import type { Bucket, Epoch } from '../shared/messages.ts'
import { StepHasher } from './steps.ts'

export class Sealer {
  readonly #keys: NodeKeys
  readonly #host: string
  readonly #bucketSeconds: number
  readonly #steps = new StepHasher()
  #chain: Buffer
  #first = 0
  #last = 0
  #sources = new Map<string, ManifestSource>()
  #gaveUp: GivenUp[] = []

  constructor(keys: NodeKeys, config: { host: string; bucketSeconds: number }, chain: Buffer) {
    this.#keys = keys
    this.#host = config.host
    this.#bucketSeconds = config.bucketSeconds
    this.#chain = chain
  }

  /** Hash of the last manifest. */
  get chain(): Buffer {
    return this.#chain
  }

  count(sequence: number, events: Events): void {
    if (this.#first === 0) this.#first = sequence
    this.#last = sequence
    const lines = linesOfRuns(events)
    let at = 0
    for (const [i, run] of events.runs.entries()) {
      const length = run.to - run.from
      const steps = this.#steps.add(run.source, run.from, events.bytes.subarray(at, at + length))
      at += length
      // A gap within a bucket (what lay between was in packets already) makes a range of its own.
      const key = `${run.source}`
      const known = this.#sources.get(key)
      if (known !== undefined && known.to === run.from) {
        known.to = run.to
        known.events += run.events
        known.lines += lines[i]
        known.steps.push(...steps)
      } else {
        if (known !== undefined) this.#sources.set(`${key} ${known.from}`, known)
        this.#sources.set(key, sourceOf(run, lines[i], steps))
      }
    }
    for (const [name, dropped] of droppedIn(events)) {
      const source = this.#sources.get(name)!
      source.dropped = withDropped(source.dropped, dropped)
    }
  }

  /** Where the file must be read from so that the hash of the step that `offset` is in becomes known. */
  stepLacksFrom(source: string, offset: number): number | undefined {
    return this.#steps.lacksFrom(source, offset)
  }

  /** Bytes before the offset that went by in an earlier run of this process's program. */
  catchUpStep(source: string, from: number, bytes: Buffer): void {
    this.#steps.add(source, from, bytes)
  }

  /** A source of which nothing was read yet is known all the same: an empty file can be given back too. */
  noteEmpty(source: Pick<ManifestSource, 'source' | 'host' | 'path' | 'start'>): void {
    if (this.#sources.has(source.source)) return
    const { start } = source
    this.#sources.set(source.source, { ...source, from: start, to: start, events: 0, lines: 0, steps: [] })
  }

  giveUp(what: GivenUp): void {
    this.#gaveUp.push(what)
  }

  /** The manifest of the bucket, idle or not; counting begins anew. */
  seal(epoch: Epoch, bucket: Bucket, isFarewell: boolean): Manifest {
    const manifest = this.#sign({
      epoch,
      bucket,
      first: this.#first,
      last: this.#last,
      sources: [...this.#sources.values()],
      gaveUp: this.#gaveUp,
      farewell: isFarewell,
    })
    this.#first = 0
    this.#last = 0
    this.#sources = new Map()
    this.#gaveUp = []
    return manifest
  }

  /** The word on a bucket that a former process left unsealed. */
  sealFormer(
    of: { epoch: Epoch; bucket: Bucket; first: number; last: number },
    sources: ManifestSource[],
    gaveUp: GivenUp[],
  ): Manifest {
    return this.#sign({ ...of, sources, gaveUp, farewell: false })
  }

  #sign(of: Pick<Manifest, 'epoch' | 'bucket' | 'first' | 'last' | 'sources' | 'gaveUp' | 'farewell'>): Manifest {
    const unsigned = {
      tailer: this.#keys.id,
      bucketSeconds: this.#bucketSeconds,
      host: this.#host,
      previous: this.#chain,
      ...of,
    }
    this.#chain = manifestDigest(unsigned)
    return signManifest(unsigned, this.#keys.box.publicKey, this.#keys.signing)
  }
}

/** What a packet of a former process says of its sources. */
export function sourcesOf(events: Events): ManifestSource[] {
  const lines = linesOfRuns(events)
  const sources = events.runs.map((run, i) => sourceOf(run, lines[i], []))
  for (const [name, dropped] of droppedIn(events)) sources.find(({ source }) => source === name)!.dropped = dropped
  return sources
}

function sourceOf(run: Run, lines: number, steps: ManifestSource['steps']): ManifestSource {
  const { source, host, path, start, from, to, events } = run
  return { source, host, path, start, from, to, events, lines, steps }
}

function linesOfRuns(events: Events): number[] {
  let i = 0
  return events.runs.map(run => {
    let lines = 0
    for (const end = i + run.events; i < end; i++) lines += events.lines[i]
    return lines
  })
}
