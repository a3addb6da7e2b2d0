// The lines of segment files, in the order in which they lie there (by host, file and offset within a segment): for
// whoever has an archive and nothing else.
import { eventBytes } from '../../shared/events.ts'
import { realDisk } from '../../shared/real-disk.ts'
import { readDirectory, readSegmentBlock } from '../../shared/segment.ts'
import { EXIT, failure, reasonOf } from '../fail.ts'
import { openSegmentFile } from '../segment-on-disk.ts'
import { escapeControls, escapeEvent, isTerminal, Output } from '../terminal.ts'

export async function cat(paths: string[]): Promise<number> {
  const output = new Output()
  let damages = 0
  const onDamage = (where: string, reason: string) => {
    damages++
    process.stderr.write(`bucktail: damaged: ${escapeControls(`${where}: ${reason}`)}\n`)
  }
  for (const path of paths) {
    const file = await openSegmentFile(realDisk, path).catch((error: unknown) => {
      throw failure(
        `cannot read ${path}: ${reasonOf(error)}; name segment files, such as archive/segments/*/*.seg`,
        error,
      )
    })
    try {
      const blocks = await readDirectory(file, damage => onDamage(damage.where, damage.reason))
      for (const block of blocks) {
        const events = await readSegmentBlock(file, block).catch((error: unknown) => onDamage(path, reasonOf(error)))
        if (!events) continue
        if (!isTerminal()) await output.write(events.bytes)
        else for (let i = 0; i < events.ends.length; i++) await output.write(shown(eventBytes(events, i)))
      }
    } finally {
      await file.close()
    }
  }
  await output.flush()
  return damages > 0 ? EXIT.holes : EXIT.fine
}

function shown(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  return text.endsWith('\n') ? `${escapeEvent(text.slice(0, -1))}\n` : escapeEvent(text)
}
