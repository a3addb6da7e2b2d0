// Signed words of tailers (manifests, gone) as documents: once each, by what they say.
import { pack, unpack } from 'msgpackr'
import type { Gone, Manifest } from '../manifest.ts'
import { goneKey, manifestKey } from '../segment-manifest.ts'
import type { ElasticConnection } from './connection.ts'
import type { MarkSource } from './marks.ts'
import { hitsOf } from './search.ts'

type Word = { manifest: Manifest } | { gone: Gone }

export function wordMark(word: Word): { id: string; json: string } {
  const key = 'manifest' in word ? manifestKey(word.manifest) : goneKey(word.gone)
  const source: MarkSource = { mark: 'word', check: 0, body: { msgpack: pack(word).toString('base64') } }
  return { id: `word-${key}`, json: JSON.stringify({ bucktail: source }) }
}

export async function readWords(
  connection: ElasticConnection,
  all: string,
): Promise<{ manifests: Manifest[]; gone: Gone[] }> {
  // Two porters may have put the same word into two indexes.
  const words = new Map<string, Word>()
  const asked = { query: { term: { 'bucktail.mark': 'word' } }, sort: ['_shard_doc'], eventsOnly: false }
  for await (const { _id, _source } of hitsOf(connection, all, asked)) {
    const { body } = _source.bucktail as unknown as MarkSource
    words.set(_id, unpack(Buffer.from(body.msgpack, 'base64')) as Word)
  }
  const list = [...words.values()]
  return {
    manifests: list.flatMap(word => ('manifest' in word ? [word.manifest] : [])),
    gone: list.flatMap(word => ('gone' in word ? [word.gone] : [])),
  }
}
