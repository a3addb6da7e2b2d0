// Programs that write logs on a simulated machine, and what is true about every line they wrote.
//
//   required   it is in a file, or was until it was rotated away with all its bytes: index and archive must have it once
//   excused    the world took it (a power cut before it was on the device, a truncate between copy and cut): at most once
// Every line is unlike every other, so a line found in a store is known by its text.
import { dirname } from 'node:path'
import type { SeededRandom } from './seeded-random.ts'
import type { Machine } from './sim-process.ts'

export type Rotation = 'none' | 'rename' | 'copytruncate'

export interface WrittenLine {
  text: string
  host: string
  path: string
  writtenAtMs: number
  /** Why it may be missing. */
  excuse: string | undefined
  /** So many machines have it in a file: it was there when a machine was cloned. */
  copies: number
}

/** All bytes that one file had from its creation to its end; after a power cut a second one with what was left. */
export class Incarnation {
  readonly host: string
  /** Of the program, whatever generation it is now. */
  readonly path: string
  #parts: Buffer[]

  constructor(host: string, path: string, bytes?: Buffer) {
    this.host = host
    this.path = path
    this.#parts = bytes ? [bytes] : []
  }

  get bytes(): Buffer {
    if (this.#parts.length !== 1) this.#parts = [Buffer.concat(this.#parts)]
    return this.#parts[0]
  }

  append(bytes: Buffer): void {
    this.#parts.push(bytes)
  }
}

export interface ProgramConfig {
  path: string
  /** The tailer's settings name it and its generations by a glob. */
  isGlob: boolean
  rotation: Rotation
  /** Rotated when over this size, looked at before each write. */
  rotateBytes: number
  /** Not sooner after the last time than this. */
  rotateEveryMsLeast: number
  /** Mean time between two bursts, and the most lines in one. */
  burstEveryMs: number
  burstLinesMax: number
  /** It writes and rotates only when it is told to. */
  isByHand?: boolean
}

export class Workload {
  readonly lines = new Map<string, WrittenLine>()
  readonly incarnations: Incarnation[] = []
  readonly programs: Program[] = []
  /** Times that a host was put back, copied, moved or robbed of its memory, by name. */
  readonly strikes = new Map<string, number>()
  #isStopped = false
  /** Names of hosts whose files may have had two contents at one offset: after power cuts, rollbacks, cloning. */
  readonly twofold = new Set<string>()

  start(machine: Machine, config: ProgramConfig, random: SeededRandom): Program {
    const program = new Program(this, machine, config, random)
    program.isStopped = this.#isStopped
    this.programs.push(program)
    return program
  }

  /** The programs of a machine go on, each by itself, on a copy of it as well. */
  clone(from: Machine, to: Machine, random: SeededRandom): void {
    for (const program of this.of(from)) {
      const copy = this.start(to, program.config, random.fork(program.config.path))
      copy.isKnown = program.isKnown
      copy.afterCloning(program)
    }
    this.twofold.add(from.name).add(to.name)
    this.strikes.set(to.name, this.strikes.get(from.name) ?? 0)
    this.strike(from.name)
    this.strike(to.name)
  }

  of(machine: Machine): Program[] {
    return this.programs.filter(program => program.machine === machine)
  }

  strike(host: string): void {
    this.strikes.set(host, (this.strikes.get(host) ?? 0) + 1)
  }

  stop(): void {
    this.#isStopped = true
    for (const program of this.programs) program.isStopped = true
  }
}

export class Program {
  readonly machine: Machine
  readonly config: ProgramConfig
  isStopped = false
  /** A tailer reads it. What was rotated before the first sight of an exact path is not ours to read, by design. */
  isKnown = false
  readonly #workload: Workload
  readonly #random: SeededRandom
  readonly #lines: WrittenLine[] = []
  #count = 0
  #incarnation: Incarnation | undefined
  /** Since then the copy is made and the original not truncated: what comes in between is in no file. */
  #copiedBytes: number | undefined
  #generations = 0
  #rotatedAtMs = 0

  constructor(workload: Workload, machine: Machine, config: ProgramConfig, random: SeededRandom) {
    this.#workload = workload
    this.machine = machine
    this.config = config
    this.#random = random
    machine.disk.makeFolder(dirname(config.path))
    if (!config.isByHand) this.#burst()
  }

  /** What the disk has after a power cut, or is put back to, is the truth from now on; what is gone is excused. */
  afterLoss(excuse: string): void {
    this.#workload.twofold.add(this.machine.name)
    const whole = this.#wholeLines()
    for (const line of this.#lines) if (!whole.has(line.text)) line.excuse ??= excuse
    this.#goOnWithFiles()
  }

  afterCloning(original: Program): void {
    const whole = this.#wholeLines()
    for (const line of original.#lines) {
      if (whole.has(line.text)) line.copies++
    }
    this.#generations = original.#generations
    this.#goOnWithFiles()
  }

  #wholeLines(): Set<string> {
    const { disk } = this.machine
    return new Set(
      this.#files().flatMap(path =>
        disk
          .bytes(disk.file(path))
          .toString('latin1')
          .split(/(?<=\n)/),
      ),
    )
  }

  #goOnWithFiles(): void {
    const { disk, name } = this.machine
    const { path } = this.config
    this.#copiedBytes = undefined
    for (const file of this.#files()) {
      this.#workload.incarnations.push(new Incarnation(name, path, disk.bytes(disk.file(file))))
    }
    const active = disk.find(path)
    if (!active) {
      this.#incarnation = undefined
      return
    }
    this.#incarnation = new Incarnation(name, path, disk.bytes(active))
    this.#workload.incarnations.push(this.#incarnation)
    // A program that finds a torn line ends it, so that its own lines stay whole.
    if (active.size > 0 && active.content[active.size - 1] !== 0x0a) this.#append(Buffer.from('\n'))
  }

  #files(): string[] {
    const { disk } = this.machine
    const folder = dirname(this.config.path)
    const names = [...(disk.find(folder)?.entries.keys() ?? [])].map(name => `${folder}/${name}`)
    return names.filter(path => path === this.config.path || path.startsWith(`${this.config.path}.`))
  }

  #burst(): void {
    const { timeline } = this.machine
    timeline.after(this.#random.fraction() * 2 * this.config.burstEveryMs, () => {
      if (this.isStopped) return
      if (this.machine.isUp) {
        const lines = this.#random.integer(1, this.config.burstLinesMax)
        for (let i = 0; i < lines; i++) this.#write()
        this.#rotate()
      }
      this.#burst()
    })
  }

  #write(): void {
    const words = this.#random.bytes(this.#random.integer(2, 40)).toString('base64')
    const time = new Date(this.machine.wallMs()).toISOString()
    const text = `${time} ${this.machine.name} ${this.config.path} ${++this.#count} ${words}\n`
    const line: WrittenLine = {
      text,
      host: this.machine.name,
      path: this.config.path,
      writtenAtMs: this.machine.timeline.nowMs,
      excuse: undefined,
      copies: 1,
    }
    if (!this.#append(Buffer.from(text))) return
    if (this.#copiedBytes !== undefined) line.excuse = 'written between the copy and the truncate'
    this.#workload.lines.set(text, line)
    this.#lines.push(line)
  }

  /** False if the disk has no room: then the line never was. */
  #append(bytes: Buffer): boolean {
    const { disk } = this.machine
    const inode = disk.find(this.config.path) ?? disk.create(this.config.path)
    if (!this.#incarnation) {
      this.#incarnation = new Incarnation(this.machine.name, this.config.path)
      this.#workload.incarnations.push(this.#incarnation)
    }
    const before = inode.size
    try {
      disk.append(inode, bytes)
    } catch {
      // Programs that log do not stop for a full disk: the part is taken back, as a careful one does.
      disk.truncate(inode, before)
      return false
    }
    this.#incarnation.append(bytes)
    return true
  }

  /** Writes so many lines. Answers their texts. */
  write(lines: number): string[] {
    const from = this.#lines.length
    for (let i = 0; i < lines; i++) this.#write()
    return this.#lines.slice(from).map(line => line.text)
  }

  /** The file becomes `.1`, and a new one will take its name. */
  rename(): void {
    this.#shift()
    this.machine.disk.rename(this.config.path, `${this.config.path}.1`)
    this.#incarnation = undefined
  }

  /** The first half of copytruncate. False: no room. */
  copy(): boolean {
    const { disk } = this.machine
    const { path } = this.config
    this.#shift()
    try {
      disk.copy(path, `${path}.1`)
    } catch {
      // No room for the copy: logrotate leaves the original as it is.
      disk.unlink(`${path}.1`)
      return false
    }
    this.#copiedBytes = disk.file(path).size
    return true
  }

  /** The second half. What was written since the copy is in no file any more. */
  truncate(): void {
    const { disk } = this.machine
    if (this.#copiedBytes === undefined) return
    this.#copiedBytes = undefined
    if (disk.find(this.config.path)) disk.truncate(disk.file(this.config.path), 0)
    this.#incarnation = undefined
  }

  #shift(): void {
    const { disk } = this.machine
    const { path } = this.config
    for (let i = this.#generations; i > 0; i--) {
      if (disk.find(`${path}.${i}`)) disk.rename(`${path}.${i}`, `${path}.${i + 1}`)
    }
    this.#generations++
  }

  #rotate(): void {
    const { disk, timeline } = this.machine
    const { path, rotation, rotateBytes } = this.config
    if (
      rotation === 'none' ||
      !this.isKnown ||
      this.#copiedBytes !== undefined ||
      (disk.find(path)?.size ?? 0) < rotateBytes
    )
      return
    if (timeline.nowMs - this.#rotatedAtMs < this.config.rotateEveryMsLeast) return
    this.#rotatedAtMs = timeline.nowMs
    this.machine.trace?.('program', `rotates ${path} of ${this.machine.name} by ${rotation}`)
    if (rotation === 'rename') {
      this.rename()
      return
    }
    if (!this.copy()) return
    // Usually within milliseconds; a big file on a busy host may take seconds.
    timeline.after(this.#random.span(4000), () => {
      if (this.machine.isUp) this.truncate()
    })
  }
}
