// The tailer over HTTP: /healthz, /readyz, /metrics, /status. Outside the core that runs in the simulation.
import { type FaceConfig, type RunningFace, startProcessFace } from '../shared/face/process-face.ts'
import type { World } from '../shared/world.ts'
import type { Gateway } from './gateway.ts'
import type { TailerStatus } from './tailer.ts'

/** Rejects if the port cannot be had. */
export function startTailerFace(
  config: FaceConfig,
  parts: { log: World['log']; status(): TailerStatus; gateway?: Gateway },
): Promise<RunningFace> {
  const { log, status, gateway } = parts
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
    ],
  })
}
