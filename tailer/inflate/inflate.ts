// Compressed generations of a log as streams of what is in them: gzip and zstd by Node's zlib, xz by the `xz` program,
// which every Linux has (docs/decisions: no library for Node reads it in bounded memory and is as well kept).
//
//   gzip   members end to end; zero padding after the last one is passed over
//   zstd   frames end to end, also skippable ones. A decoder stops at the end of a frame and keeps silent about what
//          follows in the same write: it is told by what it consumed, and the rest goes to a new one
//   xz     streams end to end
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Duplex, Readable, Writable } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import type { OpenFile } from '../../shared/world.ts'

export type Compression = 'gzip' | 'zstd' | 'xz'

/** What is behind the file's end was cut off: it is being written still, or was never finished. */
export class TornError extends Error {
  override readonly name = 'TornError'
}

/** The bytes are not what a compressor writes: reading them again cannot help. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError'
}

/** Nothing on this machine can inflate it. */
export class NoDecoderError extends Error {
  override readonly name = 'NoDecoderError'
}

const READ_BYTES = 64 * 1024
/** One piece that comes out; also the granularity of waiting. */
const PIECE_BYTES = 128 * 1024
/** As the zstd program: what needs more memory was written with --ultra --long=28 or more, and is refused. */
const ZSTD_WINDOW_LOG_MAX = 27
const XZ_MEMORY_BYTES_MAX = 128 * 1024 * 1024

/** By the ending of its name; undefined for a plain file and for what cannot be read (bz2, lz4). */
export function compressionOf(path: string): Compression | undefined {
  if (path.endsWith('.gz')) return 'gzip'
  if (path.endsWith('.zst')) return 'zstd'
  return path.endsWith('.xz') ? 'xz' : undefined
}

/**
 * The bytes in a compressed file, from its beginning, piece by piece, no faster than they are taken.
 * Throws TornError, DamagedError, NoDecoderError, errors of the disk. `return()` frees what it holds.
 */
export async function* inflate(file: OpenFile, compression: Compression): AsyncGenerator<Buffer, void, undefined> {
  const input = new Input(file)
  if ((await input.next()) === undefined) throw new TornError('it is empty')
  if (compression === 'xz') {
    yield* throughXz(input)
    return
  }
  for (;;) {
    const bytes = await input.next()
    if (bytes === undefined) return
    if (compression === 'gzip' && input.consumed > 0 && bytes.every(byte => byte === 0)) {
      input.take(bytes.length)
      continue
    }
    const before = input.consumed
    const decoder =
      compression === 'gzip'
        ? createGunzip({ chunkSize: PIECE_BYTES })
        : createZstdDecompress({
            chunkSize: PIECE_BYTES,
            params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
          })
    yield* through(decoder, input, () => decoder.bytesWritten)
    if (input.consumed === before) throw new DamagedError('nothing of it can be read')
  }
}

/** The file's bytes in order; what a decoder left comes again. */
class Input {
  readonly #file: OpenFile
  #position = 0
  #left: Buffer | undefined
  consumed = 0

  constructor(file: OpenFile) {
    this.#file = file
  }

  /** What comes next, without taking it; undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    if (this.#left !== undefined) return this.#left
    const into = Buffer.allocUnsafe(READ_BYTES)
    const got = await this.#file.read(into, this.#position)
    if (got === 0) return undefined
    this.#position += got
    this.#left = into.subarray(0, got)
    return this.#left
  }

  take(bytes: number): void {
    this.consumed += bytes
    this.#left = this.#left!.length === bytes ? undefined : this.#left!.subarray(bytes)
  }
}

async function* through(decoder: Duplex, input: Input, consumed: () => number): AsyncGenerator<Buffer> {
  let failure: unknown
  const feeding = feed(decoder, input, consumed).catch(error => {
    failure = error
    decoder.destroy()
  })
  try {
    for await (const piece of decoder) yield piece as Buffer
  } catch (error) {
    throw failure ?? named(error as NodeJS.ErrnoException)
  } finally {
    decoder.destroy()
    await feeding
  }
  if (failure !== undefined) throw failure
}

/** Ends the decoder at the end of the file, or where it does not take any more. */
async function feed(decoder: Duplex, input: Input, consumed: () => number): Promise<void> {
  for (;;) {
    const bytes = await input.next()
    if (bytes === undefined || decoder.destroyed) break
    const before = consumed()
    // An error is told to whoever reads.
    if (await written(decoder, bytes)) return
    const taken = consumed() - before
    input.take(taken)
    if (taken < bytes.length) break
  }
  decoder.end()
}

/** True if the stream failed or was closed. */
function written(stream: Writable, bytes: Buffer): Promise<boolean> {
  return new Promise(resolve => {
    const onClose = () => resolve(true)
    stream.once('close', onClose)
    stream.write(bytes, error => {
      stream.removeListener('close', onClose)
      resolve(error !== null && error !== undefined)
    })
  })
}

async function* throughXz(input: Input): AsyncGenerator<Buffer> {
  const child = spawn('xz', ['--decompress', '--stdout', `--memlimit-decompress=${XZ_MEMORY_BYTES_MAX}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin' },
  })
  const closed = once(child, 'close').catch((error: NodeJS.ErrnoException) => error)
  // Broken pipes are told by the exit code.
  child.stdin.on('error', () => undefined)
  let complaint = ''
  child.stderr.on('data', part => {
    complaint = (complaint + part).slice(0, 1000)
  })
  let failure: unknown
  const feeding = feedXz(child.stdin, input).catch(error => {
    failure = error
    child.kill()
  })
  try {
    for await (const piece of child.stdout as Readable) yield piece
  } finally {
    child.kill()
    await feeding
    await closed
  }
  if (failure !== undefined) throw failure
  const ended = await closed
  if (ended instanceof Error) {
    throw new NoDecoderError('the program `xz` cannot be started: install xz-utils', { cause: ended })
  }
  if (child.exitCode === 0) return
  if (/Unexpected end of input/.test(complaint)) throw new TornError('unexpected end')
  throw new DamagedError(complaint.trim() || `xz ended with ${child.exitCode ?? child.signalCode}`)
}

async function feedXz(stdin: Writable, input: Input): Promise<void> {
  for (;;) {
    const bytes = await input.next()
    if (bytes === undefined || (await written(stdin, bytes))) break
    input.take(bytes.length)
  }
  stdin.end()
}

function named(error: NodeJS.ErrnoException): Error {
  if (error.code === 'Z_BUF_ERROR') return new TornError('unexpected end', { cause: error })
  if (error.code?.startsWith('Z_') || error.code?.startsWith('ZSTD_')) {
    return new DamagedError(error.message, { cause: error })
  }
  return error
}
