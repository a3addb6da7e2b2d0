/** Work that is done one time after the other; whoever asks while it runs shares the next run with all others who ask. */
export class Round {
  readonly #work: () => Promise<void>
  #current: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(work: () => Promise<void>) {
    this.#work = work
  }

  /** Resolves after a run that began after this call. Rejects if that run does. */
  run(): Promise<void> {
    this.#next ??= this.#current
      .catch(() => undefined) // told to those who waited for it
      .then(() => {
        this.#next = undefined
        this.#current = this.#work()
        return this.#current
      })
    return this.#next
  }
}
