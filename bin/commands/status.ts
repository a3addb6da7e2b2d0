import { askArchie } from '../archie-place.ts'
import { EXIT } from '../fail.ts'
import { counted, escapeControls, Output, size, table } from '../terminal.ts'

interface Status {
  environment: string
  bucks: { name: string; channel: string; link: string; linkError?: string; error?: string; status?: unknown }[]
  tailers: {
    tailer: string
    host: string
    connected: boolean
    silentMs: number
    behindBytes?: number
    files?: number
    underReplicatedPackets?: number
    underReplicatedBytes?: number
    stopped?: string
  }[]
  stores: Record<'recent' | 'archive', { events: number; lines: number; bytes: number; sources: number }>
  notIndexedYet: { packets: number }
  gaps: { where: string; reason: string }[]
}

export async function status(flags: { archie: string; json?: boolean }): Promise<number> {
  const found = await askArchie<Status>(flags.archie, '/api/v1/status')
  const output = new Output()
  if (flags.json) await output.line(JSON.stringify(found))
  else await output.write(readable(found))
  await output.flush()
  return EXIT.fine
}

function readable({ environment, bucks, tailers, stores, notIndexedYet, gaps }: Status): string {
  const out = [`environment ${environment}`, '']
  out.push(
    table(
      ['buck', 'channel', 'link', ''],
      bucks.map(({ name, channel, link, linkError, error }) => [
        name,
        channel,
        link,
        escapeControls(linkError ?? error ?? ''),
      ]),
    ),
    '',
    table(
      ['tailer', 'host', 'link', 'files', 'behind', 'held by fewer than two', ''],
      tailers.map(tailer => [
        tailer.tailer.slice(0, 8),
        escapeControls(tailer.host),
        tailer.connected ? 'open' : `silent for ${Math.round(tailer.silentMs / 1000)} s`,
        tailer.files ?? 0,
        size(tailer.behindBytes ?? 0),
        counted(tailer.underReplicatedPackets ?? 0, 'packet'),
        escapeControls(tailer.stopped === undefined ? '' : `stopped: ${tailer.stopped}`),
      ]),
    ),
    '',
    table(
      ['store', 'files', 'lines', 'bytes'],
      (['recent', 'archive'] as const).map(name => [
        name,
        stores[name].sources,
        stores[name].lines,
        stores[name].bytes,
      ]),
    ),
    '',
    `not indexed yet: ${counted(notIndexedYet.packets, 'packet')}`,
    ...gaps.map(({ where, reason }) => `not seen: ${escapeControls(`${where}: ${reason}`)}`),
  )
  return `${out.join('\n')}\n`
}
