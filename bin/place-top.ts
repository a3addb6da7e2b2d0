// Rankings where no archie runs: as archie makes them (archie/top.ts), from the stores themselves.
import { ranked, rankNew } from '../archie/top.ts'
import type { Damage, Summary, SummaryRequest } from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { searchRequest } from './data-place.ts'
import { usageError } from './fail.ts'
import type { Place, PlaceRanking } from './place.ts'

/** @param told  damage that was met before */
export async function placeTop(
  { by, unseen, limit, ...request }: Parameters<Place['top']>[0],
  world: Pick<World, 'clock'>,
  told: Damage[],
  sums: (request: SummaryRequest, onDamage: (damage: Damage) => void) => Promise<Summary>,
): Promise<PlaceRanking> {
  const damages = [...told]
  const summarise = async (asked: SummaryRequest) => ({
    ...(await sums(asked, damage => damages.push(damage))),
    damages: [],
  })
  const asked = searchRequest({ ...request, order: 'newest' }, world)
  const { sinceNs: unseenNs } = searchRequest({ in: request.in, since: unseen, order: 'newest' }, world)
  const { sinceNs } = asked
  if (unseenNs !== undefined && (sinceNs === undefined || unseenNs >= sinceNs)) {
    throw usageError('--unseen is not before --since: `--since 1d --unseen 8d` compares a day with the week before')
  }
  const ranking =
    unseenNs === undefined || sinceNs === undefined
      ? ranked(await summarise({ ...asked, tops: [by] }), [by], limit)
      : await rankNew(summarise, { ...asked, sinceNs }, { fields: [by], unseenNs, limit })
  return { ...ranking, ...(ranking.top[by] ?? { values: [], others: 0 }), damages }
}
