import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import type { Settings } from '../../config/schema.ts'
import { parseAddress } from '../../config/values.ts'
import { createDialer } from '../../shared/channel/dial.ts'
import { startTailerFace } from '../../tailer/face.ts'
import { Gateway } from '../../tailer/gateway.ts'
import { followJournal, JOURNALD_APP } from '../../tailer/spool/journald.ts'
import { sweepSpool } from '../../tailer/spool/sweep.ts'
import { type FileSettings, TAILER_DEFAULTS, Tailer, type TailerStatus } from '../../tailer/tailer.ts'
import { channelConfig, credentialsOf } from '../channel.ts'
import { lockAfterFormerRun, openDataFolder, ownFolders } from '../data-folder.ts'
import { CommandError, EXIT } from '../fail.ts'
import { readMachine } from '../machine.ts'
import { foldersOf } from '../settings.ts'
import type { RoleStart, RunningRole } from './role.ts'

const SWEEP_EVERY_MS = 10_000

/** What the tailer takes over while it runs. */
const FOLLOWED = ['tailer.files', 'tailer.exclude', 'tailer.from', 'tailer.multiline', 'tailer.redact'] as const

export async function startTailer({ settings, world, signal: toldToStop, isOnce }: RoleStart): Promise<RunningRole> {
  const { tailer: own } = settings
  checkFiles(own)
  const credentials = credentialsOf(settings, 'tailer')
  const folder = foldersOf(settings).tailer
  openDataFolder(folder)
  const lock = await lockAfterFormerRun(folder)
  const spool = join(folder, 'spool')
  const tailer = await Tailer.open(
    {
      ...TAILER_DEFAULTS,
      folder,
      host: own.host ?? hostname(),
      ...fileSettings(own, spool),
      ownFolders: ownFolders(settings.data),
      bucks: settings.bucks,
      bucketSeconds: settings.bucket_time / 1000,
      packetBytes: own.packet_bytes,
      packetMs: own.packet_time,
      diskBytesMax: own.disk_limit,
      overDiskLimit: own.over_disk_limit,
      recordMs: own.multiline_wait,
      once: isOnce,
    },
    {
      world,
      makeDialer: keys => createDialer(channelConfig(settings, 'tailer', credentials, keys), world, 'buck'),
      machine: readMachine(),
    },
  )
  const { host, port } = parseAddress(own.http)!
  const gateway = own.gateway !== false && !isOnce ? new Gateway(world, spool) : undefined
  const failed = new AbortController()
  const signal = AbortSignal.any([toldToStop, failed.signal])
  const ended = tailer.run(signal)
  ended.catch(() => undefined) // told to who waits for the role
  const face = await startTailerFace(
    { host, port },
    { log: world.log, status: () => tailer.status(), figures: () => tailer.figures(), gateway },
  ).catch(async error => {
    failed.abort(error)
    await ended.catch(() => undefined)
    lock.release()
    throw error
  })
  const sweeping = setInterval(() => void sweep(), SWEEP_EVERY_MS)
  const sweep = async () => {
    const settled = new Set(tailer.status().settled)
    await sweepSpool(spool, {
      ...world,
      isSafe: path => settled.has(path),
      // Where the journal is read from after a restart.
      keepsNewest: app => app === JOURNALD_APP,
    }).catch(error => world.log.warn('spool not swept: tried again', { error }))
  }
  const journal =
    own.journald && !isOnce
      ? followJournal(world, { spool, from: own.from === 'end' ? 'end' : 'beginning' }, signal).catch(error =>
          // The files are tailed all the same.
          world.log.error('the journal is not followed: its folder in the spool cannot be used', { spool, error }),
        )
      : undefined
  return {
    listens: [`http ${face.address}`],
    ended,
    close: async () => {
      clearInterval(sweeping)
      await face.close()
      await gateway?.close()
      await journal
      lock.release()
    },
    onceProgress: () => progressOf(tailer.status()),
    follow(next) {
      checkFiles(next.tailer)
      tailer.follow(fileSettings(next.tailer, spool))
      return FOLLOWED
    },
  }
}

/** The same when it is asked again: relative paths are from where the process was started. */
function fileSettings(own: Settings['tailer'], spool: string): FileSettings {
  const lines = { multiline: own.multiline, redact: own.redact }
  const named = own.files.map(rule => {
    if (typeof rule === 'string') return { from: own.from, ...lines, path: resolve(rule) }
    const { path, rate_limit: limit, quota: daily, ...more } = rule
    const rateLimit = limit && { ...limit.rate, over: limit.over }
    const quota = daily && { bytesPerDay: daily.bytes, over: daily.over }
    const limits = { ...(rateLimit && { rateLimit }), ...(quota && { quota }) }
    return { from: own.from, ...lines, ...more, ...limits, path: resolve(path) }
  })
  // What `bucktail pipe` and the gateway took.
  const taken = { path: join(spool, '*', '*.log*'), isSpool: true, ...lines }
  return { files: [...named, taken], exclude: own.exclude.map(glob => resolve(glob)) }
}

function checkFiles({ files, gateway, journald }: Settings['tailer']): void {
  if (files.length > 0 || gateway || journald) return
  throw new CommandError(EXIT.settings, 'tailer.files: no file to tail; name paths or globs in the settings')
}

function progressOf({ sources, packets, unbegunBytes }: TailerStatus) {
  const sum = (of: 'size' | 'read') => sources.reduce((total, source) => total + source[of], 0)
  return { files: sources.length, size: sum('size') + unbegunBytes, read: sum('read'), packetsWaiting: packets }
}
