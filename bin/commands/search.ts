import { eventJson, timeText } from '../../shared/event-json.ts'
import { type FoundEvent, withoutLineEnd } from '../../shared/events.ts'
import { EXIT, usageError } from '../fail.ts'
import { openPlace, type PlaceFlags, type PlaceName, type PlaceRequest } from '../place.ts'
import { colourOfLevel, dim, escapeControls, escapeEvent, escapeJson, isTerminal, Output } from '../terminal.ts'
import { searchTop } from './search-top.ts'

/** Damages named one by one; the rest is a number. */
const DAMAGES_SHOWN = 10

interface Flags extends PlaceFlags {
  since?: string
  until?: string
  host?: string
  app?: string
  file?: string
  in: PlaceName
  json?: boolean
  raw?: boolean
  limit?: number
  top?: string
  unseen?: string
}

export async function search(query: string | undefined, flags: Flags): Promise<number> {
  const { since, until, host, app, file, limit } = flags
  const request: PlaceRequest = { in: flags.in, q: query, since, until, host, app, file, limit, order: 'oldest' }
  if (flags.unseen !== undefined && (flags.top === undefined || since === undefined)) {
    throw usageError('--unseen goes with --top and --since: what is new since then')
  }
  const place = await openPlace(flags)
  const output = new Output()
  const show = flags.json ? jsonLine : flags.raw ? rawLine : textLine
  let damages = 0
  const onDamage = ({ where, reason }: { where: string; reason: string }) => {
    if (++damages <= DAMAGES_SHOWN)
      process.stderr.write(`bucktail: not searched: ${escapeControls(`${where}: ${reason}`)}\n`)
  }
  try {
    if (flags.top !== undefined) return await searchTop(place, request, { ...flags, top: flags.top })
    if (limit === undefined) {
      for await (const event of place.search(request, onDamage)) await output.write(show(event))
    } else {
      // The newest ones, shown as they happened.
      const newest: FoundEvent[] = []
      for await (const event of place.search({ ...request, order: 'newest' }, onDamage)) newest.push(event)
      for (const event of newest.reverse()) await output.write(show(event))
    }
    await output.flush()
  } finally {
    await place.close()
  }
  if (damages > DAMAGES_SHOWN)
    process.stderr.write(`bucktail: and ${damages - DAMAGES_SHOWN} more places not searched\n`)
  return damages > 0 ? EXIT.holes : EXIT.fine
}

function jsonLine(event: FoundEvent): string {
  const json = JSON.stringify(eventJson(event))
  return `${isTerminal() ? escapeJson(json) : json}\n`
}

/** To a pipe or a file exactly the bytes; a terminal would obey them. */
function rawLine(event: FoundEvent): string | Buffer {
  return isTerminal() ? `${escapeEvent(withoutLineEnd(event.bytes).toString('utf8'))}\n` : event.bytes
}

export function textLine(event: Pick<FoundEvent, 'timeNs' | 'host' | 'app' | 'level' | 'bytes'>): string {
  const message = withoutLineEnd(event.bytes).toString('utf8')
  const head = `${timeText(event.timeNs).slice(0, 23)}Z ${event.host} ${event.app}`
  if (!isTerminal()) return `${head} ${message.replaceAll('\n', '\n    ')}\n`
  return `${dim(escapeControls(head))} ${colourOfLevel(event.level, escapeEvent(message))}\n`
}
