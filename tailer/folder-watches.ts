// Folders tell when something changes in them, where the file system can: then files that are idle cost nothing between
// looks, and looks may be rare. Nothing depends on it: what no folder tells of (network file systems), the next look finds.
import type { Disk, Log } from '../shared/world.ts'

/** The kernel gives each user so many thousand; the folders beyond are looked at only. */
const WATCHES_MAX = 1000

export class FolderWatches {
  readonly #disk: Disk
  readonly #log: Log
  readonly #watches = new Map<string, { close(): void }>()
  /** Folders that cannot be watched: told once, not tried again. */
  readonly #refused = new Set<string>()
  readonly #onChange: (path: string | undefined) => void
  /** A name came, went, or leads elsewhere since the last look. */
  areNamesChanged = false

  /** @param onChange something was written to a file; without a path, names may have changed */
  constructor(disk: Disk, log: Log, onChange: (path: string | undefined) => void) {
    this.#disk = disk
    this.#log = log
    this.#onChange = onChange
  }

  /** Whether this disk can tell at all. */
  get isPossible(): boolean {
    return this.#disk.watch !== undefined
  }

  /** Watches these folders and no others. */
  keep(folders: Iterable<string>): void {
    const kept = new Set(folders)
    for (const [folder, watch] of this.#watches) {
      if (kept.has(folder)) continue
      watch.close()
      this.#watches.delete(folder)
    }
    for (const folder of kept) {
      if (this.#watches.has(folder) || this.#refused.has(folder) || this.#watches.size >= WATCHES_MAX) continue
      this.#watch(folder)
    }
  }

  close(): void {
    this.keep([])
  }

  #stirNames(): void {
    this.areNamesChanged = true
    this.#onChange(undefined)
  }

  #watch(folder: string): void {
    try {
      const watch = this.#disk.watch!(folder, {
        changed: name => {
          if (name !== undefined) this.#onChange(`${folder}/${name}`)
          else this.#stirNames()
        },
        renamed: () => this.#stirNames(),
        ended: error => {
          // The folder is gone or was moved: the next look says what is there now.
          if (this.#watches.get(folder) === watch) this.#watches.delete(folder)
          watch.close()
          this.#stirNames()
          if (error !== undefined) this.#log.debug('folder not watched any more', { folder, error })
        },
      })
      this.#watches.set(folder, watch)
    } catch (error) {
      this.#refused.add(folder)
      this.#log.warn('folder cannot be watched: it is looked at from time to time', { folder, error })
    }
  }
}
