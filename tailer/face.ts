// The tailer over HTTP: /healthz, /readyz, /metrics, /status. Outside the core that runs in the simulation.
import { type FaceConfig, type RunningFace, startProcessFace } from '../shared/face/process-face.ts'
import type { World } from '../shared/world.ts'
import type { Gateway } from './gateway.ts'
import type { SourceRow } from './source-figures.ts'
import type { TailerStatus } from './tailer.ts'

/** The label `path` is that of a log with all its rotated generations; see SourceFigures for the bound on their number. */
const PER_SOURCE: [name: string, help: string, of: Exclude<keyof SourceRow, 'path'>][] = [
  ['read_bytes', 'Bytes read since the start', 'readBytes'],
  ['packed_bytes', 'Of those, in packets on this disk', 'packedBytes'],
  ['held_twice_bytes', 'Of those, acknowledged by two bucks, or archived', 'heldTwiceBytes'],
  ['behind_bytes', 'Bytes that are not read yet', 'behindBytes'],
  ['behind_seconds', 'How long something has been waiting to be read', 'behindSeconds'],
  ['given_up_bytes', 'Bytes lost before they could be read, since the start', 'givenUpBytes'],
  ['given_up_ranges', 'Holes since the start, also those whose end nobody knows', 'givenUpRanges'],
  ['excluded_bytes', 'Bytes left unread by the settings, since the start', 'excludedBytes'],
  ['redacted', 'Places hidden since the start', 'redacted'],
]

/** Rejects if the port cannot be had. */
export function startTailerFace(
  config: FaceConfig,
  parts: { log: World['log']; status(): TailerStatus; figures(): SourceRow[]; gateway?: Gateway },
): Promise<RunningFace> {
  const { log, gateway } = parts
  const status = oncePerTurn(parts.status)
  const figures = oncePerTurn(parts.figures)
  const behind = () => status().sources.reduce((sum, { size, read }) => sum + Math.max(0, size - read), 0)
  return startProcessFace(config, {
    log,
    status,
    routes: server => gateway?.serve(server),
    unready: () => {
      const { stopped, linksOpen } = status()
      return stopped ?? (linksOpen === 0 ? 'no buck is reachable: lines are kept on this disk only' : undefined)
    },
    figures: [
      { name: 'bucktail_tailer_files', help: 'Files that are read', value: () => status().sources.length },
      { name: 'bucktail_tailer_read_bytes', help: 'Bytes read since the start', value: () => status().bytesRead },
      { name: 'bucktail_tailer_read_lines', help: 'Lines read since the start', value: () => status().linesRead },
      { name: 'bucktail_tailer_behind_bytes', help: 'Bytes of the files that are not read yet', value: behind },
      {
        name: 'bucktail_tailer_under_replicated_packets',
        help: 'Packets that fewer than two bucks hold',
        value: () => status().underReplicatedPackets,
      },
      {
        name: 'bucktail_tailer_under_replicated_bytes',
        help: 'Log in packets that fewer than two bucks hold',
        value: () => status().underReplicatedBytes,
      },
      { name: 'bucktail_tailer_journal_packets', help: 'Packets not archived yet', value: () => status().packets },
      { name: 'bucktail_tailer_journal_bytes', help: 'Bytes of them on this disk', value: () => status().journalBytes },
      { name: 'bucktail_tailer_bucks_connected', help: 'Bucks with an open link', value: () => status().linksOpen },
      {
        name: 'bucktail_tailer_pushed_lines',
        help: 'Lines accepted by POST /v1/logs/create since the start',
        value: () => gateway?.acceptedLines ?? 0,
      },
      {
        name: 'bucktail_tailer_redacted',
        help: 'Places hidden since the start, by rule',
        label: 'rule',
        values: () => Object.entries(status().redacted),
      },
      ...(['lines', 'bytes'] as const).map(of => ({
        name: `bucktail_tailer_dropped_${of}`,
        help: `${of === 'lines' ? 'Lines' : 'Bytes of lines'} dropped by filters and limits since the start, by rule`,
        label: 'rule',
        values: () => status().dropped.map((sum): [string, number] => [sum.rule, sum[of]]),
      })),
      {
        name: 'bucktail_tailer_quota_left_bytes',
        help: 'Bytes left of the quota of the day (UTC), by log',
        label: 'path',
        values: () => status().quotaLeft,
      },
      {
        name: 'bucktail_tailer_event_delay_seconds',
        help: 'Least time from that of an event to its reading in the last minute or two, by host: below 0, its clock is ahead',
        label: 'host',
        values: () => Object.entries(status().eventDelaySeconds),
      },
      {
        name: 'bucktail_tailer_damaged_entries',
        help: 'Damaged places in its own bucket files',
        value: () => status().damagedEntries,
      },
      ...PER_SOURCE.map(([name, help, of]) => ({
        name: `bucktail_tailer_source_${name}`,
        help: `${help}, by log`,
        label: 'path',
        values: () => figures().map((row): [string, number] => [row.path, row[of]]),
      })),
    ],
  })
}

/** One answer has thirty figures of one state: of a thousand files each would be made thirty times. */
function oncePerTurn<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    if (made === undefined) {
      made = { value: make() }
      setImmediate(() => {
        made = undefined
      })
    }
    return made.value
  }
}
