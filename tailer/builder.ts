// Collects events of many sources until a packet is cut: the columns of shared/events, growing in place.
import { type Events, type Run, TIME_IS_GUESSED } from '../shared/events.ts'
import { PACKET_META_BYTES_MAX } from '../shared/packet.ts'

/** Packets are cut long before; the columns of a packet index names with 16 bits, and its meta has a bound. */
const NAMES_MAX = 60_000
const META_BYTES_MAX = PACKET_META_BYTES_MAX / 2
/** Numbers and lengths of a run in meta. */
const RUN_BYTES = 64
const EVENTS_AT_FIRST = 4096

export interface RunLabel {
  source: string
  host: string
  path: string
  app: string
  start: number
  parent?: string
}

export interface EventFields {
  timeNs: bigint
  timeIsGuessed: boolean
  level: number
  host: string
  app: string
}

export class PacketBuilder {
  #bytes: Buffer
  #used = 0
  #count = 0
  #ends = new Uint32Array(EVENTS_AT_FIRST)
  #times = new BigInt64Array(EVENTS_AT_FIRST)
  #lines = new Uint16Array(EVENTS_AT_FIRST)
  #hosts = new Uint16Array(EVENTS_AT_FIRST)
  #apps = new Uint16Array(EVENTS_AT_FIRST)
  #levels = new Uint8Array(EVENTS_AT_FIRST)
  #flags = new Uint8Array(EVENTS_AT_FIRST)
  #runs: Run[] = []
  #names: string[] = ['']
  #nameIds = new Map<string, number>([['', 0]])
  /** At most so many bytes of meta, as strings of up to three bytes per character. */
  #metaBytes = 0

  constructor(bytesAtFirst: number) {
    this.#bytes = Buffer.allocUnsafe(bytesAtFirst)
  }

  get rawBytes(): number {
    return this.#used
  }

  get events(): number {
    return this.#count
  }

  /** No further event fits the bounds of a packet's columns. */
  get isFull(): boolean {
    return this.#names.length >= NAMES_MAX || this.#metaBytes >= META_BYTES_MAX
  }

  /** Adds bytes [start, end) of `from`, which lie at `offset` of the source. */
  add(
    label: RunLabel,
    offset: number,
    from: Buffer,
    start: number,
    end: number,
    lines: number,
    fields: EventFields,
  ): void {
    const length = end - start
    if (this.#used + length > this.#bytes.length) this.#growBytes(length)
    from.copy(this.#bytes, this.#used, start, end)
    this.#used += length
    const i = this.#count
    if (i === this.#ends.length) this.#growColumns()
    this.#ends[i] = this.#used
    this.#times[i] = fields.timeNs
    this.#lines[i] = lines
    this.#hosts[i] = fields.host === '' || fields.host === label.host ? 0 : this.#nameId(fields.host)
    this.#apps[i] = fields.app === '' || fields.app === label.app ? 0 : this.#nameId(fields.app)
    this.#levels[i] = fields.level
    this.#flags[i] = fields.timeIsGuessed ? TIME_IS_GUESSED : 0
    this.#count++

    const run = this.#runs.at(-1)
    if (run !== undefined && run.source === label.source && run.to === offset && run.path === label.path) {
      run.to += length
      run.events++
    } else {
      this.#runs.push({ ...label, from: offset, to: offset + length, events: 1 })
      this.#metaBytes += RUN_BYTES + 3 * (label.host.length + label.path.length + label.app.length)
    }
  }

  /** All that was added, as copies; the builder is empty afterwards. */
  take(): Events {
    const count = this.#count
    const events: Events = {
      runs: this.#runs,
      bytes: Buffer.from(this.#bytes.subarray(0, this.#used)),
      ends: this.#ends.slice(0, count),
      lines: this.#lines.slice(0, count),
      times: this.#times.slice(0, count),
      levels: this.#levels.slice(0, count),
      flags: this.#flags.slice(0, count),
      hosts: this.#hosts.slice(0, count),
      apps: this.#apps.slice(0, count),
      names: this.#names,
    }
    this.#used = 0
    this.#count = 0
    this.#runs = []
    this.#metaBytes = 0
    this.#names = ['']
    this.#nameIds = new Map([['', 0]])
    return events
  }

  #nameId(name: string): number {
    let id = this.#nameIds.get(name)
    if (id === undefined) {
      id = this.#names.length
      this.#names.push(name)
      this.#metaBytes += 3 * name.length
      this.#nameIds.set(name, id)
    }
    return id
  }

  #growBytes(more: number): void {
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#used + more))
    this.#bytes.copy(larger, 0, 0, this.#used)
    this.#bytes = larger
  }

  #growColumns(): void {
    const size = this.#ends.length * 2
    this.#ends = grown(new Uint32Array(size), this.#ends)
    this.#times = grown(new BigInt64Array(size), this.#times)
    this.#lines = grown(new Uint16Array(size), this.#lines)
    this.#hosts = grown(new Uint16Array(size), this.#hosts)
    this.#apps = grown(new Uint16Array(size), this.#apps)
    this.#levels = grown(new Uint8Array(size), this.#levels)
    this.#flags = grown(new Uint8Array(size), this.#flags)
  }
}

function grown<T extends { set(from: T): void }>(larger: T, from: T): T {
  larger.set(from)
  return larger
}
