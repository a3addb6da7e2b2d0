// Standard input as a log: lines are accepted once they are on this machine's disk, tailer running or not.
import { join } from 'node:path'
import { realWorld } from '../../shared/real-world.ts'
import { textLog } from '../../shared/text-log.ts'
import { SpoolNameError, SpoolWriter } from '../../tailer/spool/spool-writer.ts'
import { openDataFolder } from '../data-folder.ts'
import { EXIT, failure, reasonOf, usageError } from '../fail.ts'
import { keepFilesPrivate } from '../private-files.ts'
import { foldersOf, type SettingsFlags, settingsOf } from '../settings.ts'
import { Output } from '../terminal.ts'

const NEWLINE = 0x0a
/** A line whose end does not come is kept in memory up to here, then written in parts (it stays one line). */
const PART_BYTES_MAX = 1024 * 1024

interface Flags extends SettingsFlags {
  app: string
  tee?: boolean
}

export async function pipe(flags: Flags): Promise<number> {
  const { settings } = settingsOf(flags, { defaults: { data: './bucktail-data' } })
  const { tailer } = foldersOf(settings)
  keepFilesPrivate()
  openDataFolder(tailer)
  const writer = openWriter(join(tailer, 'spool'), flags.app)
  const output = flags.tee ? new Output() : undefined
  // Ctrl-C goes to the whole pipeline: the end of the input is waited for, or its last lines would be lost.
  process.on('SIGINT', () => undefined)
  process.once('SIGTERM', () => process.stdin.destroy())
  const stopFinishing = writer.finishWhenIdle()

  let rest: Buffer = Buffer.alloc(0)
  let lines = 0
  try {
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      await output?.write(chunk)
      await output?.flush()
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const end = bytes.lastIndexOf(NEWLINE) + 1 || (bytes.length >= PART_BYTES_MAX ? bytes.length : 0)
      rest = Buffer.from(bytes.subarray(end))
      if (end === 0) continue
      await writer.append(bytes.subarray(0, end))
      lines += countLines(bytes.subarray(0, end))
    }
    if (rest.length > 0) {
      await writer.append(rest)
      lines++
    }
    await writer.finish()
  } catch (error) {
    throw failure(
      `lines of standard input from number ${lines + 1} on were not accepted: ${reasonOf(error)}; free the disk, or choose another folder with --data`,
      error,
    )
  } finally {
    stopFinishing()
  }
  return EXIT.fine
}

function openWriter(spool: string, app: string): SpoolWriter {
  try {
    return new SpoolWriter(realWorld({ log: textLog(process.stderr, 'warn') }), spool, app)
  } catch (error) {
    if (error instanceof SpoolNameError) throw usageError(`--app: ${error.message}`, error)
    throw error
  }
}

function countLines(bytes: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++
  return count
}
