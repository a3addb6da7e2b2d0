// The data folder of a process: made if it is not there, of a version that we know, and used by one process at a time.
//
//   version   "1\n": the layout of the folder. A newer one is refused before anything is touched.
//   lock      who uses it, for people: {"pid":…,"command":…,"since":…}
// The lock itself is held by the kernel, a listening socket named after the folder's device and inode: it is gone with
// the process, however that ended, and two processes cannot both get it. (Elsewhere than on Linux it is a socket file.)
import {
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeFolderSync } from '../shared/real-folder.ts'
import { failure, reasonOf } from './fail.ts'

export const DATA_VERSION = 1
/** A process of a former run that lost its supervisor drains for at most this long. */
const FORMER_RUN_MS_MAX = 20_000
const RETRY_MS = 200

export interface FolderLock {
  release(): void
}

/** Makes the folder if it is not there, checks its version. Rejects with a sentence for the user. */
export function openDataFolder(folder: string): void {
  try {
    makeFolderSync(folder)
  } catch (error) {
    throw failure(`cannot make the data folder ${folder}: ${reasonOf(error)}; choose another with --data`, error)
  }
  const version = checkDataVersion(folder)
  if (version !== undefined) {
    probeWritable(folder)
    return
  }
  const strangers = readdirSync(folder).filter(name => name !== 'lock' && name !== 'keys' && name !== 'lost+found')
  if (strangers.length > 0) {
    throw failure(
      `${folder} holds other files (${strangers.slice(0, 3).join(', ')}) and no bucktail data; choose another folder with --data`,
    )
  }
  try {
    writeFileSync(join(folder, 'version.new'), `${DATA_VERSION}\n`)
    renameSync(join(folder, 'version.new'), join(folder, 'version'))
  } catch (error) {
    throw notWritable(folder, error)
  }
}

/** The version found, undefined if there is none. Throws if it is not ours. */
export function checkDataVersion(folder: string): number | undefined {
  let text: string
  try {
    text = readFileSync(join(folder, 'version'), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw failure(`cannot read ${join(folder, 'version')}: ${reasonOf(error)}`, error)
  }
  if (!/^\d+\n?$/.test(text)) {
    throw failure(`${join(folder, 'version')} does not hold a number; is ${folder} really a bucktail data folder?`)
  }
  const version = Number(text)
  if (version > DATA_VERSION) {
    throw failure(
      `${folder} was written by a newer bucktail (data version ${version}, this one knows ${DATA_VERSION}); use the newer one, or another folder with --data`,
    )
  }
  return version
}

function probeWritable(folder: string): void {
  const probe = join(folder, `.probe-${process.pid}`)
  try {
    writeFileSync(probe, '')
    rmSync(probe)
  } catch (error) {
    throw notWritable(folder, error)
  }
}

function notWritable(folder: string, error: unknown): Error {
  return failure(`cannot write into the data folder ${folder}: ${reasonOf(error)}; choose another with --data`, error)
}

/**
 * Holds the folder until `release` or the end of the process.
 * @param waitMs how long to wait for another holder to go
 */
export async function lockFolder(folder: string, waitMs = 0): Promise<FolderLock> {
  const name = lockName(folder)
  const until = performance.now() + waitMs
  for (;;) {
    const server = await tryListen(name)
    if (server !== undefined) {
      const since = new Date().toISOString()
      writeFileSync(
        join(folder, 'lock'),
        `${JSON.stringify({ pid: process.pid, command: process.argv.slice(2), since })}\n`,
      )
      return {
        release: () => {
          rmSync(join(folder, 'lock'), { force: true })
          server.close()
        },
      }
    }
    if (performance.now() >= until) {
      throw failure(
        `${folder} is in use by another bucktail${holder(folder)}; stop it, or choose another folder with --data`,
      )
    }
    await sleep(RETRY_MS)
  }
}

/** As lockFolder, but gives the processes of a killed former run the time that they need to drain. */
export function lockAfterFormerRun(folder: string): Promise<FolderLock> {
  return lockFolder(folder, FORMER_RUN_MS_MAX)
}

/** Somebody else holds it now. */
export async function isFolderInUse(folder: string): Promise<boolean> {
  try {
    const server = await tryListen(lockName(folder))
    server?.close()
    return server === undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

function holder(folder: string): string {
  try {
    const { pid } = JSON.parse(readFileSync(join(folder, 'lock'), 'utf8')) as { pid: number }
    return ` (process ${pid})`
  } catch {
    // Just being written or removed: the sentence is right without the number.
    return ''
  }
}

function lockName(folder: string): string {
  const real = realpathSync(folder)
  if (process.platform !== 'linux') return join(real, 'lock.socket')
  const { dev, ino } = statSync(real)
  return `\0bucktail/${dev}/${ino}`
}

/** Undefined if another process listens there. */
async function tryListen(name: string): Promise<Server | undefined> {
  try {
    return await listen(name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    if (name.startsWith('\0') || (await answers(name))) return undefined
    // A socket file outlives its process.
    rmSync(name, { force: true })
    return listen(name)
  }
}

function listen(name: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy())
    server.once('error', reject)
    server.listen(name, () => {
      server.unref()
      resolve(server)
    })
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** The data folder under each of its names: globs must find nothing in it. */
export function ownFolders(data: string): string[] {
  const folder = resolve(data)
  return existsSync(folder) ? [...new Set([folder, realpathSync(folder)])] : [folder]
}
