// Virtual time: a heap of what happens when. Between two events every promise that can go on does go on, so a process
// stands still only where it waits for something simulated.

/** One moment may hold so many events; more is a loop that waits without waiting. */
const EVENTS_PER_MOMENT_MAX = 100_000

export interface Timed {
  readonly atMs: number
  /** Undefined once it is cancelled. */
  run: (() => void) | undefined
}

interface Entry extends Timed {
  readonly order: number
  readonly isWanted: () => boolean
}

export class Timeline {
  #nowMs = 0
  #order = 0
  #heap: Entry[] = []
  /** Events that ran. */
  events = 0

  /** Milliseconds, with fractions, since the world began. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Runs `run` after `ms`, unless it is cancelled or `isWanted` says no by then. At one moment: in the order of calls. */
  after(ms: number, run: () => void, isWanted: () => boolean = () => true): Timed {
    const entry: Entry = { atMs: this.#nowMs + Math.max(0, ms || 0), order: this.#order++, run, isWanted }
    this.#push(entry)
    return entry
  }

  /** Lets time pass. */
  async run(untilMs: number): Promise<void> {
    await this.#turn(() => !(this.#heap.length > 0 && this.#heap[0].atMs <= untilMs))
    this.#nowMs = Math.max(this.#nowMs, untilMs)
  }

  /** Lets time pass until the condition holds, looked at after every event. False if it does not by `untilMs`. */
  async runUntil(condition: () => boolean, untilMs: number): Promise<boolean> {
    let isMet = false
    await this.#turn(() => {
      isMet = condition()
      return isMet || this.#heap.length === 0 || this.#heap[0].atMs > untilMs
    })
    return isMet
  }

  /** Lets time pass until the promise settles. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const settled = () => {
      isSettled = true
    }
    promise.then(settled, settled)
    if (!(await this.runUntil(() => isSettled, Number.POSITIVE_INFINITY))) {
      throw new Error('the promise waits for ever: nothing is left to happen')
    }
    return promise
  }

  // One event per setImmediate: Node runs all microtasks, however deep, before the next one. About 1.4 µs each.
  #turn(isOver: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let moment = -1
      let inMoment = 0
      const next = () => {
        try {
          if (isOver()) return resolve()
          const entry = this.#pop()
          inMoment = entry.atMs === moment ? inMoment + 1 : 0
          moment = entry.atMs
          if (inMoment > EVENTS_PER_MOMENT_MAX) {
            throw new Error(`time stands still at ${moment} ms: ${inMoment} events in one moment`)
          }
          this.#nowMs = entry.atMs
          const { run } = entry
          entry.run = undefined
          if (run && entry.isWanted()) {
            this.events++
            run()
          }
        } catch (error) {
          return reject(error)
        }
        setImmediate(next)
      }
      setImmediate(next)
    })
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(entry)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(entry, heap[parent])) break
      heap[at] = heap[parent]
      at = parent
    }
    heap[at] = entry
  }

  #pop(): Entry {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop() as Entry
    if (heap.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++
      if (!isBefore(heap[child], last)) break
      heap[at] = heap[child]
      at = child
    }
    heap[at] = last
    return top
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
