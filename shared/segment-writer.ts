// Makes the bytes of one segment out of pieces of events, one block at a time: the text of one block and the compressed
// blocks so far are all that is held.
import { createHash } from 'node:crypto'
import type { Run } from './events.ts'
import { joinPieces, type Piece, textBetween } from './pieces.ts'
import { RangeSet } from './ranges.ts'
import { encodeFilterList, encodeFooter } from './segment.ts'
import {
  type BodyKind,
  type EncodedBlock,
  encodeSegmentBlock,
  moveSegmentBlock,
  runLabel,
  type SegmentBlock,
  type SegmentEvents,
  sealBlock,
} from './segment-block.ts'

/** Names are u16 in a block; it is cut a little before they run out. */
const NAMES_MAX = 60_000
/** With tiny events the columns outgrow the text; a block is cut here too. */
const EVENTS_MAX = 256 * 1024
/** Of a block's bytes: from there on the next file begins a block of its own, whose shapes of lines are its own. */
export const SHARE_OF_ONE_PATH = 1 / 4
/** A list of hosts or applications that is longer says nothing any more: 'many', nothing is pruned by it. */
export const LABELS_MAX = 1000

/** What a segment holds of one source under one label. */
export interface SourcePart {
  source: string
  host: string
  path: string
  app: string
  start: number
  parent?: string
  ranges: RangeSet
  events: number
  lines: number
  bytes: number
}

/** What the directory does not say of a block that is taken over. */
export interface CopiedParts {
  hosts: Iterable<string>
  apps: Iterable<string>
  /** Per label of a run (`runLabel`). */
  lines: Iterable<[label: string, lines: number]>
}

/** A packet whose body is taken over. */
export interface TakenPacket {
  events: SegmentEvents
  kind: BodyKind
  body: Buffer
}

export interface BlockRecord {
  position: number
  bytes: number
  sha256: string
  events: number
  lines: number
  rawBytes: number
  leastNs: bigint
  greatestNs: bigint
}

export interface WrittenSegment {
  content: Buffer
  sha256: string
  blocks: BlockRecord[]
  events: number
  lines: number
  rawBytes: number
  leastNs: bigint
  greatestNs: bigint
  levels: number
  sources: SourcePart[]
  /** Of runs and lines; undefined: too many to list. */
  hosts?: string[]
  apps?: string[]
}

export class SegmentWriter {
  readonly #blockBytes: number
  readonly #level: number
  readonly #chunks: Buffer[] = []
  readonly #heads: Buffer[] = []
  readonly #filters: (Buffer | undefined)[] = []
  readonly #blocks: SegmentBlock[] = []
  readonly #records: BlockRecord[] = []
  readonly #hash = createHash('sha256')
  readonly #sources = new Map<string, SourcePart>()
  readonly #hosts = new Set<string>()
  readonly #apps = new Set<string>()
  #text = Buffer.alloc(0)
  #position = 0
  #pieces: Piece[] = []
  #pieceBytes = 0
  #pieceEvents = 0
  #names = new Map<string, number>([['', 0]])

  /** @param level zstd's */
  constructor(options: { blockBytes: number; level: number }) {
    this.#blockBytes = options.blockBytes
    this.#level = options.level
  }

  /** Compressed so far. */
  get bytes(): number {
    return this.#position
  }

  /** Pieces come grouped by source, then by offset: like lies by like. */
  append(piece: Piece): void {
    const isOtherPath = this.#pieces.length > 0 && this.#pieces[0].run.path !== piece.run.path
    if (isOtherPath && this.#pieceBytes >= this.#blockBytes * SHARE_OF_ONE_PATH) this.#closeBlock()
    for (let first = piece.first, from = piece.from; first < piece.end; ) {
      const end = this.#fits(piece, first)
      if (end === first) {
        this.#closeBlock()
        continue
      }
      const to = from + textBetween(piece.events, first, end).length
      this.#take({ ...piece, first, end, from, to })
      first = end
      from = to
    }
  }

  /**
   * A packet as it is: its body becomes a block of its own. Nothing is encoded, and there is no filter of its words.
   * @param events  what the body was decoded to: it is known to be whole, and what it holds
   */
  take({ events, kind, body }: TakenPacket): void {
    this.#closeBlock()
    let first = 0
    for (const run of events.runs) {
      const end = first + run.events
      const part = this.#partOf(run)
      part.ranges.add(run.from, run.to)
      part.events += run.events
      part.bytes += run.to - run.from
      for (let i = first; i < end; i++) part.lines += events.lines[i]
      addLabel(this.#hosts, run.host)
      addLabel(this.#apps, run.app)
      first = end
    }
    this.#addNames(events)
    this.#put(sealBlock(events, kind, body, undefined, this.#position))
  }

  /**
   * A block of another segment as it is: nothing is inflated.
   * @param stored  head, meta and body; `parts` says what is in it, as `append` would have found
   */
  copy(block: SegmentBlock, stored: Buffer, filter: Buffer | undefined, parts: CopiedParts): void {
    this.#closeBlock()
    const bodyAt = block.bodyPosition - block.position
    const position = this.#position
    const moved = { ...block, position, bodyPosition: position + bodyAt }
    for (const host of parts.hosts) addLabel(this.#hosts, host)
    for (const app of parts.apps) addLabel(this.#apps, app)
    for (const run of block.runs) {
      const part = this.#partOf(run)
      part.ranges.add(run.from, run.to)
      part.events += run.events
      part.bytes += run.to - run.from
    }
    for (const [label, lines] of parts.lines) {
      const part = this.#sources.get(label)
      if (part) part.lines += lines
    }
    const head = moveSegmentBlock(stored.subarray(0, bodyAt), position)
    this.#put({ head, body: stored.subarray(bodyAt), filter, block: moved })
  }

  /** Undefined if nothing was appended: there is no empty segment. */
  finish(): WrittenSegment | undefined {
    this.#closeBlock()
    if (this.#blocks.length === 0) return undefined
    const filters = this.#filters.flatMap(filter => filter ?? [])
    const directory = Buffer.concat([...this.#heads, encodeFilterList(this.#filters)])
    const directoryAt = filters.reduce((sum, { length }) => sum + length, this.#position)
    const footer = encodeFooter(this.#blocks.length, directoryAt, directory)
    for (const part of [...filters, directory, footer]) this.#push(part)
    const sum = (of: (block: SegmentBlock) => number) => this.#blocks.reduce((total, block) => total + of(block), 0)
    return {
      content: Buffer.concat(this.#chunks),
      sha256: this.#hash.digest('hex'),
      blocks: this.#records,
      events: sum(block => block.events),
      lines: sum(block => block.lines),
      rawBytes: sum(block => block.rawBytes),
      ...timeBounds(this.#blocks),
      levels: this.#blocks.reduce((levels, block) => levels | block.levels, 0),
      sources: [...this.#sources.values()],
      hosts: listOf(this.#hosts),
      apps: listOf(this.#apps),
    }
  }

  /** End of the events from `first` on that the open block still takes; a whole block takes at least one. */
  #fits(piece: Piece, first: number): number {
    if (this.#names.size + piece.events.names.length > NAMES_MAX && this.#pieces.length > 0) return first
    const { ends } = piece.events
    const start = first === 0 ? 0 : ends[first - 1]
    const room = start + this.#blockBytes - this.#pieceBytes
    const lastEnd = Math.min(piece.end, first + EVENTS_MAX - this.#pieceEvents)
    let low = first
    let high = lastEnd
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ends[middle] <= room) low = middle + 1
      else high = middle
    }
    return low === first && this.#pieces.length === 0 ? first + 1 : low
  }

  #take(piece: Piece): void {
    const { events, run, first, end } = piece
    this.#pieces.push(piece)
    this.#pieceBytes += piece.to - piece.from
    this.#pieceEvents += end - first
    if (events.names.length > 1) {
      for (const name of events.names) if (!this.#names.has(name)) this.#names.set(name, this.#names.size)
    }
    addLabel(this.#hosts, run.host)
    addLabel(this.#apps, run.app)

    const part = this.#partOf(run)
    part.ranges.add(piece.from, piece.to)
    part.events += end - first
    part.bytes += piece.to - piece.from
    for (let i = first; i < end; i++) part.lines += events.lines[i]
  }

  #partOf(run: Run): SourcePart {
    const key = runLabel(run)
    let part = this.#sources.get(key)
    if (!part) {
      const { source, host, path, app, start, parent } = run
      const label = { source, host, path, app, start, ...(parent !== undefined && { parent }) }
      part = { ...label, ranges: new RangeSet(), events: 0, lines: 0, bytes: 0 }
      this.#sources.set(key, part)
    }
    return part
  }

  #closeBlock(): void {
    if (this.#pieces.length === 0) return
    // One piece of text for all blocks: fresh memory for each would cost more than filling it.
    if (this.#text.length < this.#pieceBytes) {
      this.#text = Buffer.allocUnsafeSlow(Math.max(this.#blocks.length === 0 ? 0 : this.#blockBytes, this.#pieceBytes))
    }
    const events = joinPieces(this.#pieces, this.#names, this.#text)
    this.#addNames(events)
    this.#put(encodeSegmentBlock(events, this.#position, this.#level))
    this.#pieces = []
    this.#pieceBytes = 0
    this.#pieceEvents = 0
    this.#names = new Map([['', 0]])
  }

  /** Hosts and applications that lines name themselves. */
  #addNames(events: SegmentEvents): void {
    if (events.names.length <= 1) return
    for (let i = 0; i < events.ends.length; i++) {
      if (events.hosts[i] > 0) addLabel(this.#hosts, events.names[events.hosts[i]])
      if (events.apps[i] > 0) addLabel(this.#apps, events.names[events.apps[i]])
    }
  }

  #put({ head, body, filter, block }: EncodedBlock): void {
    this.#heads.push(head)
    this.#filters.push(filter)
    this.#blocks.push(block)
    const { position, bytes, lines, rawBytes, leastNs, greatestNs } = block
    const sha256 = createHash('sha256').update(head).update(body).digest('hex')
    this.#records.push({ position, bytes, sha256, events: block.events, lines, rawBytes, leastNs, greatestNs })
    this.#push(head)
    this.#push(body)
    this.#position += bytes
  }

  #push(bytes: Buffer): void {
    this.#chunks.push(bytes)
    this.#hash.update(bytes)
  }
}

function timeBounds(blocks: SegmentBlock[]): { leastNs: bigint; greatestNs: bigint } {
  let { leastNs, greatestNs } = blocks[0]
  for (const block of blocks) {
    if (block.leastNs < leastNs) leastNs = block.leastNs
    if (block.greatestNs > greatestNs) greatestNs = block.greatestNs
  }
  return { leastNs, greatestNs }
}

function addLabel(labels: Set<string>, label: string): void {
  if (labels.size <= LABELS_MAX) labels.add(label)
}

function listOf(labels: Set<string>): string[] | undefined {
  return labels.size > LABELS_MAX ? undefined : [...labels]
}
