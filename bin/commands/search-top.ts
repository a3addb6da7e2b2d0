// `bucktail search --top templates`: instead of lines, how many of them there are of each value.
import { TOP_FIELDS, type TopField } from '../../shared/stores.ts'
import { EXIT, usageError } from '../fail.ts'
import type { Place, PlaceRequest } from '../place.ts'
import { escapeControls, Output, table } from '../terminal.ts'

/** Without --limit. */
const VALUES_SHOWN = 20
const VALUES_MAX = 1_000

export async function searchTop(
  place: Place,
  request: PlaceRequest,
  { top, unseen, json }: { top: string; unseen?: string; json?: boolean },
): Promise<number> {
  if (!isTopField(top)) throw usageError(`--top ${top}: one of ${TOP_FIELDS.join(', ')}`)
  const limit = Math.min(request.limit ?? VALUES_SHOWN, VALUES_MAX)
  const ranking = await place.top({ ...request, by: top, limit, unseen })
  const output = new Output()
  if (json) {
    for (const value of ranking.values) await output.write(`${JSON.stringify(value)}\n`)
  } else if (ranking.values.length > 0) {
    const rows = ranking.values.map(({ value, text, events }) => [
      `${events}`,
      escapeControls(value),
      ...(top === 'templates' ? [escapeControls(text ?? '')] : []),
    ])
    const head = ['events', top === 'templates' ? 'template:' : top.slice(0, -1), ...(top === 'templates' ? [''] : [])]
    await output.write(`${table(head, rows)}\n`)
  }
  await output.flush()
  if (ranking.others > 0) process.stderr.write(`bucktail: ${ranking.others} more events with other values\n`)
  if (!ranking.complete) process.stderr.write('bucktail: not all was counted: ask for a shorter time\n')
  for (const { where, reason } of ranking.damages) {
    process.stderr.write(`bucktail: not searched: ${escapeControls(`${where}: ${reason}`)}\n`)
  }
  return ranking.damages.length > 0 || !ranking.complete ? EXIT.holes : EXIT.fine
}

function isTopField(text: string): text is TopField {
  return (TOP_FIELDS as readonly string[]).includes(text)
}
