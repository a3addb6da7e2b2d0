// The tailers' signed words (manifests and gone) that came by: which are genuine, which the stores keep already, and
// what they say of the sequences that exist.
import { type Gone, isGoneGenuine, isManifestGenuine, type Manifest } from '../shared/manifest.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { EventStore } from '../shared/stores.ts'
import { epochKey } from './inventory.ts'
import type { Troubles } from './troubles.ts'

export type StoreName = 'index' | 'archive'
export interface SignedWords {
  manifests: Manifest[]
  gone: Gone[]
}

export class Words {
  readonly #troubles: Troubles
  /** Signatures of what each store keeps; undefined until its words were read. */
  readonly #kept: Record<StoreName, Set<string> | undefined> = { index: undefined, archive: undefined }
  /** Greatest sequence that a manifest names, per `tailer/epoch`. */
  readonly last = new Map<string, number>()
  readonly gone = new Map<string, RangeSet>()

  constructor(troubles: Troubles) {
    this.#troubles = troubles
  }

  /** Reads once what `store` keeps. Rejects as the store does; the next call tries again. */
  async load(name: StoreName, store: EventStore): Promise<void> {
    if (this.#kept[name]) return
    const words = await store.words()
    this.#learn(words)
    this.#kept[name] = new Set([...words.manifests, ...words.gone].map(signatureOf))
  }

  /** The genuine ones. A forged or damaged one is told and left out: it can say nothing. */
  genuine(words: SignedWords, from: string): SignedWords {
    const manifests = words.manifests.filter(manifest => this.#isGenuine(manifest, isManifestGenuine, from))
    const gone = words.gone.filter(word => this.#isGenuine(word, isGoneGenuine, from))
    this.#learn({ manifests, gone })
    return { manifests, gone }
  }

  /** Those that `name` does not keep yet, each once. */
  lacking(name: StoreName, words: SignedWords): SignedWords {
    const seen = new Set(this.#kept[name])
    const isNew = (word: { signature: Buffer }) => {
      const signature = signatureOf(word)
      return !seen.has(signature) && seen.add(signature)
    }
    return { manifests: words.manifests.filter(isNew), gone: words.gone.filter(isNew) }
  }

  added(name: StoreName, words: SignedWords): void {
    for (const word of [...words.manifests, ...words.gone]) this.#kept[name]?.add(signatureOf(word))
  }

  #learn({ manifests, gone }: SignedWords): void {
    for (const manifest of manifests) {
      const key = epochKey(manifest)
      this.last.set(key, Math.max(this.last.get(key) ?? 0, manifest.last))
    }
    for (const word of gone) {
      const key = epochKey(word)
      const ranges = this.gone.get(key) ?? new RangeSet()
      ranges.add(word.sequence, word.sequence + 1)
      this.gone.set(key, ranges)
    }
  }

  #isGenuine<T extends { signature: Buffer }>(word: T, check: (word: T) => boolean, from: string): boolean {
    try {
      if (check(word)) return true
      this.#troubles.note(`a tailer's word from ${from} has a wrong signature`, new Error('not genuine'))
    } catch (error) {
      this.#troubles.note(`a tailer's word from ${from} is not of its form`, error)
    }
    return false
  }
}

function signatureOf(word: { signature: Buffer }): string {
  return word.signature.toString('base64', 0, 12)
}
