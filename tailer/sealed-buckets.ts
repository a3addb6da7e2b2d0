// Buckets that are over: their manifests go to every connected buck, and after a random while one random buck is made to
// hold all of the bucket (T4). Until then, and for a while longer, its file stays.
import { type Link, LinkLostError } from '../shared/link.ts'
import type { Manifest } from '../shared/manifest.ts'
import type { Bucket } from '../shared/messages.ts'
import type { World } from '../shared/world.ts'
import type { Delivery } from './delivery.ts'

interface SealedBucket {
  manifests: Manifest[]
  /** Bucks that have the manifests. */
  toldTo: Set<string>
  /** One random buck holds the whole bucket. */
  isEnsured: boolean
  /** Monotonic ms. */
  sealedAt: number
}

export class SealedBuckets {
  readonly #delivery: Delivery
  readonly #world: Pick<World, 'clock' | 'random' | 'log'>
  readonly #buckets = new Map<Bucket, SealedBucket>()

  constructor(delivery: Delivery, world: Pick<World, 'clock' | 'random' | 'log'>) {
    this.#delivery = delivery
    this.#world = world
  }

  get all(): Bucket[] {
    return [...this.#buckets.keys()]
  }

  get isEveryEnsured(): boolean {
    return [...this.#buckets.values()].every(bucket => bucket.isEnsured)
  }

  isEveryToldTo(bucks: number): boolean {
    return [...this.#buckets.values()].every(bucket => bucket.toldTo.size >= bucks)
  }

  add(manifest: Manifest): void {
    const sealedAt = this.#world.clock.monotonic()
    const known = this.#buckets.get(manifest.bucket)
    if (known === undefined) {
      this.#buckets.set(manifest.bucket, { manifests: [manifest], toldTo: new Set(), isEnsured: false, sealedAt })
      return
    }
    known.manifests.push(manifest)
    known.toldTo.clear()
    known.isEnsured = false
    known.sealedAt = sealedAt
  }

  /** The manifests of a bucket to a buck. False if they did not get there. */
  async tell(link: Link, bucket: Bucket): Promise<boolean> {
    const sealed = this.#buckets.get(bucket)
    if (sealed === undefined || sealed.toldTo.has(link.peer.id)) return true
    const { manifests } = sealed
    const count = manifests.length
    try {
      for (const manifest of manifests) await link.ask('manifest', { manifest })
    } catch (error) {
      this.#trouble(link, 'manifest', error)
      return false
    }
    // A further manifest may have come meanwhile.
    if (manifests.length === count) sealed.toldTo.add(link.peer.id)
    return true
  }

  /** One look at the buckets that no random buck is known to hold as a whole. */
  async ensure(links: () => Link[], signal: AbortSignal): Promise<void> {
    for (const [bucket, sealed] of this.#buckets) {
      if (sealed.isEnsured || signal.aborted) continue
      const open = links()
      if (open.length === 0) return
      const link = open[Math.floor(this.#world.random.fraction() * open.length)]
      sealed.isEnsured = await this.#makeHold(link, bucket)
    }
  }

  /** Whether the bucket's file must stay, archived or not. */
  isKept(bucket: Bucket, forgetAfterMs: number): boolean {
    const sealed = this.#buckets.get(bucket)
    // Left by a former id: nothing of it is told to anyone.
    if (sealed === undefined) return false
    return !sealed.isEnsured || this.#world.clock.monotonic() - sealed.sealedAt < forgetAfterMs
  }

  forgetUnless(hasFile: (bucket: Bucket) => boolean): void {
    for (const bucket of this.#buckets.keys()) if (!hasFile(bucket)) this.#buckets.delete(bucket)
  }

  async #makeHold(link: Link, bucket: Bucket): Promise<boolean> {
    try {
      if (!(await this.tell(link, bucket))) return false
      return await this.#delivery.bring(link, await this.#delivery.offer(link, bucket))
    } catch (error) {
      this.#trouble(link, 'offer', error)
      return false
    }
  }

  /** A buck that does not answer, or not as it should, costs this one try; it must not end the tailer. */
  #trouble(link: Link, what: string, error: unknown): void {
    if (error instanceof LinkLostError) return
    this.#world.log.warn('buck did not answer as it should', { buck: link.address, what, error })
  }
}
