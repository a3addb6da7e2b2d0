// What a tailer finds in its folder at a start, and what an epoch begins with.
//
//   identity ▸ source log ▸ journal ▸ sources with their offsets ▸ former buckets sealed ▸ packets of a former id cut anew ▸
//   resume record ▸ epoch

import { type Manifest, type ManifestSource, manifestDigest } from '../shared/manifest.ts'
import type { Bucket, Epoch } from '../shared/messages.ts'
import { decodePacket, encodePacket, epochCount, packetEvents } from '../shared/packet.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { World } from '../shared/world.ts'
import { type Identity, loadIdentity, type Machine } from './identity.ts'
import { Journal, type PacketRef } from './journal.ts'
import { Sealer, sourcesOf } from './sealer.ts'
import { believedTo, HEAD_BYTES, TAIL_BYTES } from './source.ts'
import { type Resume, SourceLog, type StoredSource } from './source-log.ts'

/** Epochs whose archived sequences are remembered, so that they are not called gone. */
const ARCHIVED_EPOCHS_MAX = 1000

export interface Opened {
  identity: Identity
  journal: Journal
  sourceLog: SourceLog
  sealer: Sealer
  sources: StoredSource[]
  sets: string[]
  /** Of the last whole look at the files, and whether it is this one. */
  boot: string
  isSameBoot: boolean
  epoch: Epoch
  /** Last sequence of former epochs of this id, as far as the journal or the source log know. */
  lasts: Map<Epoch, number>
  archived: Map<Epoch, RangeSet>
  /** The bucks may know more than this folder does: they are waited for before anything is read. */
  needsWord: boolean
  /** What is known of sources is lost, or a part of it: the bucks remember. */
  wantsSources: boolean
  /** Sequences that this epoch has used already: packets of a former id. */
  sequence: number
}

export async function openFolder(
  config: { folder: string; host: string; bucketSeconds: number },
  world: World,
  machine: Machine,
  mintAnew: boolean,
): Promise<Opened> {
  const { disk, log, random, clock } = world
  await disk.makeFolder(config.folder)
  const identity = await loadIdentity(disk, config.folder, machine, random, mintAnew)
  const { sourceLog, resume, isWhole } = await SourceLog.open(disk, config.folder, log)
  const journal = await Journal.open(disk, config.folder, log)
  const own = identity.keys.id

  const lasts = new Map(resume.lasts)
  // Opened, and nothing of it in the journal: a power cut may have taken all of it after it was sent.
  if (resume.epoch !== undefined && !lasts.has(resume.epoch)) lasts.set(resume.epoch, 0)
  const archived = new Map(resume.archived.map(([epoch, ranges]) => [epoch, new RangeSet(ranges)]))
  let count = resume.epoch === undefined ? 0 : epochCount(resume.epoch)
  for (const { id } of journal.refs) {
    count = Math.max(count, epochCount(id.epoch))
    if (id.tailer === own) lasts.set(id.epoch, Math.max(lasts.get(id.epoch) ?? 0, id.sequence))
  }
  // Epochs of which nothing is left here need no statement, but for the last one.
  const held = new Set([...journal.refs].map(ref => ref.id.epoch))
  for (const known of lasts.keys()) if (known !== resume.epoch && !held.has(known)) lasts.delete(known)
  for (const old of [...archived.keys()].slice(0, -ARCHIVED_EPOCHS_MAX)) archived.delete(old)
  const epoch = `${count + 1}-${random.bytes(8).toString('hex')}`
  const sources = await restoreSources(resume.sources, journal)
  const sealer = new Sealer(identity.keys, config, chainEnd(journal, own) ?? resume.chain)
  // The word of a former id can be sent by nobody any more; what it gave up is said again in ours.
  for (const manifest of journal.manifests) {
    if (manifest.tailer !== own) for (const gaveUp of manifest.gaveUp) sealer.giveUp(gaveUp)
  }
  for await (const manifest of wordsOnFormerBuckets(journal, sealer, own)) await journal.appendManifest(manifest)

  const bucket = bucketAt(clock.now(), config.bucketSeconds)
  const sequence = await inheritPackets(journal, sealer, own, epoch, bucket)
  const isStranger =
    identity.formerIds.length > 0 && sources.some(source => source.tailer !== '' && source.tailer !== own)
  const living = isStranger ? forkAll(sources, own, random) : sources

  const isSameBoot = resume.boot === machine.boot
  const opened: Opened = {
    identity,
    journal,
    sourceLog,
    sealer,
    sources: living,
    sets: resume.sets ?? [],
    epoch,
    lasts,
    archived,
    boot: resume.boot ?? '',
    isSameBoot,
    needsWord: identity.isFresh || !isSameBoot || !isWhole || journal.damages.length > 0,
    wantsSources: identity.isFresh || !isWhole,
    sequence,
  }
  // The resume record says how far the packets reach: they must be as durable as it is.
  await journal.syncAll()
  await sourceLog.replace(resumeOf(opened, living, opened.sets, opened.boot))
  await sourceLog.opening(epoch)
  return opened
}

/** Hash of the manifest that no other one follows. */
function chainEnd(journal: Journal, own: string): Buffer | undefined {
  const followed = new Set(journal.manifests.map(manifest => manifest.previous.toString('hex')))
  const digests = journal.manifests.filter(manifest => manifest.tailer === own).map(manifestDigest)
  return digests.findLast(digest => !followed.has(digest.toString('hex')))
}

export function resumeOf(
  of: Pick<Opened, 'epoch' | 'lasts' | 'archived' | 'sealer'>,
  sources: StoredSource[],
  sets: string[],
  boot: string,
): Resume {
  return {
    sources,
    sets,
    boot,
    epoch: of.epoch,
    lasts: [...of.lasts],
    archived: [...of.archived].map(([epoch, ranges]) => [epoch, [...ranges]]),
    chain: of.sealer.chain,
  }
}

export function bucketAt(nowMs: number, bucketSeconds: number): Bucket {
  const seconds = Math.max(0, Math.floor(nowMs / 1000))
  return seconds - (seconds % bucketSeconds)
}

/** Every source goes on where its packets in the journal first have a gap. */
async function restoreSources(stored: StoredSource[], journal: Journal): Promise<StoredSource[]> {
  const coverage = new Map(stored.map(source => [source.source, new RangeSet([[source.start, source.to]])]))
  const byName = new Map(stored.map(source => [source.source, source]))
  const unknown = new Map<string, PacketRef>()
  for (const ref of journal.refs) {
    for (const run of ref.runs) {
      const ranges = coverage.get(run.source)
      if (ranges !== undefined) ranges.add(run.from, believedTo(byName.get(run.source) ?? {}, run.to, ref.id.epoch))
      else if (!unknown.has(run.source)) unknown.set(run.source, ref)
    }
  }
  const sources = [...stored]
  for (const [name, ref] of unknown) {
    const packet = decodePacket(await journal.readPacket(ref))
    const run = packet.runs.find(run => run.source === name)!
    const { source, host, path, app, start, parent } = run
    const empty = Buffer.alloc(0)
    const isNew = { isSettled: false, isExcluded: false, isFinished: false }
    const place = { tailer: ref.id.tailer, machine: '', dev: 0, ino: 0 }
    sources.push({ source, host, path, app, start, to: start, head: empty, tail: empty, parent, ...place, ...isNew })
    const ranges = new RangeSet()
    for (const other of journal.refs) for (const r of other.runs) if (r.source === name) ranges.add(r.from, r.to)
    coverage.set(name, ranges)
  }
  for (const source of sources) {
    const to = coverage.get(source.source)!.endFrom(source.start)
    if (to > source.to) {
      source.tail = (await bytesBefore(journal, source, to)).subarray(-TAIL_BYTES)
      source.to = to
    }
    if (source.start === 0 && source.head.length < HEAD_BYTES && to > source.head.length) {
      source.head = (await journal.sourceBytes(source.source, 0, Math.min(HEAD_BYTES, to))) ?? source.head
    }
  }
  return sources
}

/** As many of the TAIL_BYTES before `to` as packets and the stored tail have, without a gap. */
async function bytesBefore(journal: Journal, source: StoredSource, to: number): Promise<Buffer> {
  const from = Math.max(source.start, to - TAIL_BYTES)
  const whole = await journal.sourceBytes(source.source, from, to)
  if (whole !== undefined) return whole
  const fromStored = Math.max(from, source.to)
  const rest = (await journal.sourceBytes(source.source, fromStored, to)) ?? Buffer.alloc(0)
  return Buffer.concat([source.tail, rest])
}

/** The words on what a former process cut and did not live to seal; each is to be written before the next is asked for. */
export async function* wordsOnFormerBuckets(journal: Journal, sealer: Sealer, own: string): AsyncGenerator<Manifest> {
  const groups = new Map<string, PacketRef[]>()
  for (const ref of journal.refs) {
    if (ref.id.tailer !== own) continue
    const isSealed = journal.manifests.some(
      m =>
        m.epoch === ref.id.epoch && m.bucket === ref.bucket && m.first <= ref.id.sequence && m.last >= ref.id.sequence,
    )
    if (isSealed) continue
    const key = `${ref.id.epoch} ${ref.bucket}`
    groups.set(key, [...(groups.get(key) ?? []), ref])
  }
  const unsealedNotes = journal.notes.filter(
    note => !journal.manifests.some(m => m.gaveUp.some(gave => sameGivenUp(gave, note.gaveUp))),
  )
  for (const note of unsealedNotes)
    groups.set(`${note.epoch} ${note.bucket}`, groups.get(`${note.epoch} ${note.bucket}`) ?? [])

  for (const [key, refs] of groups) {
    const [epoch, bucketText] = key.split(' ')
    const bucket = Number(bucketText)
    const sources: ManifestSource[] = []
    // One packet inflated at a time: a bucket may be larger than memory.
    for (const ref of refs) addJoined(sources, sourcesOf(packetEvents(decodePacket(await journal.readPacket(ref)))))
    const sequences = refs.map(ref => ref.id.sequence)
    const first = sequences.reduce((least, one) => Math.min(least, one), sequences[0] ?? 0)
    const last = sequences.reduce((most, one) => Math.max(most, one), 0)
    const notes = unsealedNotes.filter(note => note.epoch === epoch && note.bucket === bucket).map(note => note.gaveUp)
    yield sealer.sealFormer({ epoch, bucket, first, last }, sources, notes)
  }
}

function addJoined(into: ManifestSource[], more: ManifestSource[]): void {
  for (const one of more) {
    const before = into.findLast(other => other.source === one.source)
    if (before?.to === one.from) {
      before.to = one.to
      before.events += one.events
      before.lines += one.lines
    } else into.push(one)
  }
}

function sameGivenUp(a: { source: string; path: string; from: number; reason: string }, b: typeof a): boolean {
  return a.source === b.source && a.path === b.path && a.from === b.from && a.reason === b.reason
}

/**
 * Packets cut under an id that this folder had before cannot be sent in that name any more: the same events, source and
 * offset unchanged, are cut again under the new id. Event identity makes them count once.
 */
async function inheritPackets(
  journal: Journal,
  sealer: Sealer,
  own: string,
  epoch: Epoch,
  bucket: Bucket,
): Promise<number> {
  let sequence = 0
  const strangers = [...journal.refs].filter(ref => ref.id.tailer !== own)
  for (const ref of strangers) {
    const events = packetEvents(decodePacket(await journal.readPacket(ref)))
    sequence++
    await journal.appendPacket(encodePacket({ tailer: own, epoch, sequence, bucket }, events))
    sealer.count(sequence, events)
  }
  await journal.sync()
  for (const ref of strangers) journal.drop(ref)
  return sequence
}

/** Another machine may go on with the same sources: from here on they are ours under names of their own. */
function forkAll(sources: StoredSource[], own: string, random: World['random']): StoredSource[] {
  return sources.flatMap(source => {
    if (source.isExcluded || source.isFinished) return [{ ...source, tailer: own }]
    const fork = {
      ...source,
      source: random.bytes(10).toString('hex'),
      tailer: own,
      // Nothing was read under its name: whoever asks for the beginning is led to where it is.
      parent: source.to === source.start ? (source.parent ?? source.source) : source.source,
      start: source.to,
    }
    return [{ ...source, tailer: own, isFinished: true, isSettled: true, ino: 0 }, fork]
  })
}
