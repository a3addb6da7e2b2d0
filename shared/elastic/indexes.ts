// The indexes of one place: made before they are written to, with our mapping and aliases, whoever else is about.
import type { ElasticConnection } from './connection.ts'
import { ElasticError } from './errors.ts'
import { type ElasticNames, type IndexShape, isOurs, mappingOf, settingsOf } from './names.ts'

/** An index of our name that somebody else made: nothing is written to it. */
export class ForeignIndexError extends ElasticError {
  override readonly name = 'ForeignIndexError'
}

export class Indexes {
  readonly #connection: ElasticConnection
  readonly #names: ElasticNames
  readonly #shape: IndexShape
  readonly #made = new Set<string>()
  #hasTemplate = false

  constructor(connection: ElasticConnection, names: ElasticNames, shape: IndexShape) {
    this.#connection = connection
    this.#names = names
    this.#shape = shape
  }

  async ensure(days: Iterable<string>): Promise<void> {
    for (const day of days) if (!this.#made.has(day)) await this.#make(day)
  }

  /** One was missing: what is known of them is void. */
  forget(): void {
    this.#made.clear()
    this.#hasTemplate = false
  }

  async remove(day: string): Promise<void> {
    this.#made.delete(day)
    await this.#connection.ask({
      what: 'index not deleted',
      method: 'DELETE',
      path: this.#names.index(day),
      query: { ignore_unavailable: true },
    })
  }

  async removeTemplate(): Promise<void> {
    this.#hasTemplate = false
    await this.#connection
      .ask({ what: 'template not deleted', method: 'DELETE', path: `_index_template/${this.#names.alias}` })
      .catch((error: unknown) => {
        if (!(error instanceof ElasticError) || error.status !== 404) throw error
      })
  }

  async #make(day: string): Promise<void> {
    if (!this.#hasTemplate) {
      await this.#connection.ask({
        what: 'index template not put',
        method: 'PUT',
        path: `_index_template/${this.#names.alias}`,
        body: this.#names.template(this.#shape),
      })
      this.#hasTemplate = true
    }
    const index = this.#names.index(day)
    try {
      await this.#connection.ask({
        what: `index ${index} not made`,
        method: 'PUT',
        path: index,
        body: {
          settings: settingsOf(this.#shape),
          mappings: mappingOf(this.#shape),
          aliases: this.#names.aliases(day),
        },
      })
    } catch (error) {
      if (!(error instanceof ElasticError) || error.type !== 'resource_already_exists_exception') throw error
      await this.#adopt(day, index)
    }
    this.#made.add(day)
  }

  /** Ours from an earlier start, or made by our template, or another porter's: then only its aliases may lack. */
  async #adopt(day: string, index: string): Promise<void> {
    type Found = Record<string, { mappings: Parameters<typeof isOurs>[0]; aliases: Record<string, unknown> }>
    const found = await this.#connection.ask<Found>({ what: `index ${index} not read`, method: 'GET', path: index })
    const own = Object.values(found)[0]
    if (!isOurs(own?.mappings)) {
      throw new ForeignIndexError(
        `index ${index} is there, but not with bucktail's mapping: nothing is written to it. Delete it (it is filled again from bucks and archive), or move it to another name`,
      )
    }
    const lacking = Object.entries(this.#names.aliases(day)).filter(([alias]) => !(alias in own.aliases))
    if (lacking.length === 0) return
    await this.#connection.ask({
      what: `aliases of ${index} not put`,
      path: '_aliases',
      body: { actions: lacking.map(([alias, more]) => ({ add: { index, alias, ...(more as object) } })) },
    })
  }
}
