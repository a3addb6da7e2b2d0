// The porter over HTTP: /healthz, /readyz, /metrics, /status. Outside the core that runs in the simulation.
import { type FaceConfig, type RunningFace, startProcessFace } from '../shared/face/process-face.ts'
import type { World } from '../shared/world.ts'
import type { PorterStatus } from './porter.ts'

/** Rejects if the port cannot be had. */
export function startPorterFace(
  config: FaceConfig,
  parts: { log: World['log']; status(): PorterStatus },
): Promise<RunningFace> {
  const { log, status } = parts
  const sum = (of: 'toIndex' | 'toArchive') => status().bucks.reduce((total, buck) => Math.max(total, buck[of]), 0)
  return startProcessFace(config, {
    log,
    status,
    unready: () => {
      const { state, clockIsSane, bucks, storeTrouble } = status()
      if (state === 'stopped') return 'it is stopping'
      if (storeTrouble !== undefined) return storeTrouble
      if (state === 'working' && !bucks.some(buck => buck.isReachable)) return 'no buck is reachable'
      return clockIsSane ? undefined : 'its clock cannot be trusted: nothing is deleted until it can'
    },
    figures: [
      { name: 'bucktail_porter_is_holding', help: '1: it holds the lease', value: () => Number(status().lease.isHeld) },
      {
        name: 'bucktail_porter_to_index_buckets',
        help: 'Buckets that wait for the index',
        value: () => sum('toIndex'),
      },
      { name: 'bucktail_porter_to_archive_buckets', help: 'Buckets not archived yet', value: () => sum('toArchive') },
      { name: 'bucktail_porter_lag_seconds', help: 'Wait of the oldest due bucket', value: () => status().lagSeconds },
      { name: 'bucktail_porter_wants_open', help: 'Packets asked for again', value: () => status().wantsOpen },
      { name: 'bucktail_porter_failures', help: 'Troubles with bucks and stores', value: () => status().failures },
      {
        name: 'bucktail_porter_damaged_everywhere',
        help: 'Packets of which no whole copy was to be had',
        value: () => status().packetsDamagedEverywhere,
      },
    ],
  })
}
