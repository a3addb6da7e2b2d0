// What the ledger may not say, and what may not be forgotten: looked for while a fleet works and when all is healed.
import { scanBucketFile } from '../../shared/bucket-file.ts'
import { nodeKeysFrom } from '../../shared/keys.ts'
import type { Hole, Ledger } from '../../shared/ledger.ts'
import type { Asks, PacketId } from '../../shared/messages.ts'
import { decodePacket } from '../../shared/packet.ts'
import { type Found, shown, told } from './checks.ts'
import type { SimFleet } from './fleet.ts'
import type { Machine } from './sim-process.ts'
import type { Workload, WrittenLine } from './workload.ts'

/** A line is seen, read and reported within so long, if nothing is in the way. */
const REPORTED_AFTER_MS = 5_000

/**
 * Lines of `missing` that no open hole names. A hole without a range is of its file, one without a path of its host: more
 * cannot be known of packets that are gone with their manifests.
 */
export function unnamedLines(ledger: Ledger, missing: WrittenLine[], workload: Workload): WrittenLine[] {
  return missing.filter(line => !ledger.holes.some(hole => names(hole, line, workload)))
}

/** While a required line is in no store, some row of its host, a bucket or a hole says so. */
export function falselyComplete(ledger: Ledger, missing: WrittenLine[]): string[] {
  const isOpen = (host: string) =>
    ledger.rows.some(row => row.host === host && row.state !== 'complete') ||
    ledger.buckets.some(bucket => bucket.host === host) ||
    ledger.holes.some(hole => hole.host === host)
  const hidden = missing.filter(line => !isOpen(line.host))
  return told('ledger says complete, line missing', hidden.map(shown))
}

/** Nothing is missing, and the ledger names a hole (but on hosts that were struck) or waits for something. */
export function falseWords(ledger: Ledger, found: Found, fleet: SimFleet): string[] {
  const { workload } = fleet
  const absent = [...workload.lines.values()].filter(line => !found.places.has(line.text))
  // A file that a power cut or a rollback took away may have had more: nobody can say that it had not.
  const isProvable = ({ host, to }: Hole) =>
    !workload.strikes.has(host) && (to !== undefined || !workload.twofold.has(host))
  const holes = ledger.holes.filter(
    hole => hole.state === 'open' && isProvable(hole) && !absent.some(line => names(hole, line, workload)),
  )
  const living = (host: string) => ![...fleet.dead].some(({ name }) => name === host)
  const waiting = ledger.rows.filter(row => row.state === 'waiting' && living(row.host))
  const buckets = ledger.buckets.filter(row => row.state === 'waiting' && living(row.host))
  return [
    ...told(
      'hole where nothing is missing',
      holes.map(({ host, path, source, from, to, reason }) => `${host} ${path} ${source} ${from} to ${to}: ${reason}`),
    ),
    ...told(
      'ledger waits in the end',
      waiting.map(({ host, path, source, note }) => `${host} ${path} ${source}: ${note}`),
    ),
    ...told(
      'ledger waits for a bucket in the end',
      buckets.map(({ host, tailer, bucket, note }) => `${host} ${tailer} ${bucket}: ${note}`),
    ),
  ]
}

function names(hole: Hole, line: WrittenLine, workload: Workload): boolean {
  if (hole.host !== line.host) return false
  if (hole.path === '') return true
  if (hole.path !== line.path && !hole.path.startsWith(`${line.path}.`)) return false
  const { from = 0, to = Number.POSITIVE_INFINITY } = hole
  return workload.incarnations.some(({ host, path, bytes }) => {
    if (host !== line.host || path !== line.path) return false
    const at = bytes.indexOf(line.text)
    return at >= 0 && at < to && at + line.text.length > from
  })
}

/** Watches that a bucket file goes only when the archive has every packet in it. */
export class ForgettingWatch {
  readonly #fleet: SimFleet
  readonly broken: string[] = []
  /** When the last report of a host that arrived was sent. */
  readonly reportedAtMs = new Map<string, number>()
  #files = 0

  constructor(fleet: SimFleet) {
    this.#fleet = fleet
    fleet.onForget = (machine, path, bytes) => {
      this.#look(machine, path, bytes).catch(error => this.broken.push(`forgetting not checked: ${error.stack}`))
    }
    fleet.network.onRequest = (type, body, sentAtMs) => {
      if (type !== 'report') return
      const { host } = body as Asks['report']['ask']
      this.reportedAtMs.set(host, Math.max(sentAtMs, this.reportedAtMs.get(host) ?? 0))
    }
  }

  /** Lines of dead hosts that came after what anybody heard of them: nobody can know of these. */
  unheardOf(lines: WrittenLine[]): WrittenLine[] {
    return lines.filter(line => {
      const isDead = [...this.#fleet.dead].some(({ name }) => name === line.host)
      const heardMs = this.reportedAtMs.get(line.host) ?? 0
      return isDead && line.writtenAtMs > heardMs - REPORTED_AFTER_MS
    })
  }

  async #look(machine: Machine, path: string, bytes: Buffer): Promise<void> {
    const { archive, disk } = await this.#fleet.stores()
    const copy = `/forgotten-${++this.#files}`
    const file = await disk.open(copy, 'create')
    await file.append([bytes])
    await file.close()
    const ids: PacketId[] = []
    for await (const entry of scanBucketFile(disk, copy)) {
      if (entry.kind === 'packet') ids.push(decodePacket(entry.payload).header.id)
    }
    await disk.remove(copy)
    // Packets of an id that the tailer had before were cut again under its own.
    const own = path.startsWith('/data/tailer') ? ids.filter(id => path.endsWith(id.tailer)) : ids
    const isFormer = path.startsWith('/data/tailer') && !this.#isOwn(machine, path)
    if (isFormer || own.length === 0) return
    const lacking = await archive.lacking(own)
    if (lacking.length === 0) return
    const named = lacking.map(({ epoch, sequence }) => `${epoch}/${sequence}`).join(', ')
    this.broken.push(`${machine.name} forgets what is not archived: ${path}, packets ${named}`)
  }

  #isOwn(machine: Machine, path: string): boolean {
    const identity = machine.disk.find('/data/tailer/identity.json')
    if (!identity) return false
    const { boxSecret, signSeed } = JSON.parse(machine.disk.bytes(identity).toString())
    return path.endsWith(nodeKeysFrom(Buffer.from(boxSecret, 'hex'), Buffer.from(signSeed, 'hex')).id)
  }
}
