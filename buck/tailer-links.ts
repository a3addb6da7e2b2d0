// Which tailer is connected, with which epoch, and when it was last heard from. One link and one epoch per tailer id at
// a time:
//   open, same epoch      ─▶ the former link is closed at once: the tailer dialled again
//   open, another epoch   ─▶ the former link is pinged: it answers ─▶ the newcomer is a clone, refused
//                                                       it does not ─▶ a restart: the former link is closed
import { type Link, RefusedError } from '../shared/link.ts'
import type { Epoch, TailerContact, TailerId, TailerReport } from '../shared/messages.ts'
import type { Clock } from '../shared/world.ts'

const CLONE_PING_MS = 3_000

interface Contact {
  heardMs: number
  report: TailerReport | undefined
  current: { link: Link; epoch: Epoch } | undefined
  /** Openings of one tailer are decided one after the other. */
  turn: Promise<unknown>
}

export class TailerLinks {
  readonly #clock: Clock
  readonly #startMs: number
  readonly #contacts = new Map<TailerId, Contact>()
  clones = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startMs = clock.monotonic()
  }

  /** Rejects with RefusedError 'clone'. */
  open(link: Link, epoch: Epoch): Promise<void> {
    const contact = this.#contact(link.peer.id)
    const turn = contact.turn.then(() => this.#open(contact, link, epoch))
    contact.turn = turn.catch(() => undefined) // the one who opens is told; the next only waits
    return turn
  }

  isOpen(link: Link): boolean {
    return this.link(link.peer.id) === link
  }

  link(tailer: TailerId): Link | undefined {
    return this.#contacts.get(tailer)?.current?.link
  }

  heard(tailer: TailerId): void {
    this.#contact(tailer).heardMs = this.#clock.monotonic()
  }

  report(tailer: TailerId, report: TailerReport): void {
    this.#contact(tailer).report = report
  }

  #lost(link: Link): void {
    const contact = this.#contacts.get(link.peer.id)
    if (contact?.current?.link === link) contact.current = undefined
  }

  links(): Link[] {
    return [...this.#contacts.values()].flatMap(contact => contact.current?.link ?? [])
  }

  /** @param others tailers known from the disk that were not heard from since the start */
  contacts(others: Iterable<TailerId>, machineOf: (tailer: TailerId) => string): TailerContact[] {
    const nowMs = this.#clock.monotonic()
    return [...new Set([...this.#contacts.keys(), ...others])].map(tailer => {
      const contact = this.#contacts.get(tailer)
      return {
        tailer,
        machine: machineOf(tailer),
        ...(contact?.report && { report: contact.report }),
        connected: contact?.current !== undefined,
        silentMs: nowMs - (contact?.heardMs ?? this.#startMs),
      }
    })
  }

  async #open(contact: Contact, link: Link, epoch: Epoch): Promise<void> {
    const former = contact.current
    if (former && former.link !== link) {
      if (former.epoch !== epoch && (await isAlive(former.link))) {
        this.clones++
        throw new RefusedError('clone', `tailer ${link.peer.id} is connected with epoch ${former.epoch}, and answers`)
      }
      former.link.close(`replaced by a new connection of epoch ${epoch}`)
    }
    contact.current = { link, epoch }
    // It may have been lost while the former one was pinged.
    void link.closed.then(() => this.#lost(link))
  }

  #contact(tailer: TailerId): Contact {
    let contact = this.#contacts.get(tailer)
    if (!contact) {
      contact = { heardMs: this.#clock.monotonic(), report: undefined, current: undefined, turn: Promise.resolve() }
      this.#contacts.set(tailer, contact)
    }
    return contact
  }
}

async function isAlive(link: Link): Promise<boolean> {
  try {
    await link.ask('ping', {}, undefined, CLONE_PING_MS)
    return true
  } catch (error) {
    // A refusal is an answer, too.
    return error instanceof RefusedError
  }
}
