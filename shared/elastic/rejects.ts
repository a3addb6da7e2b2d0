// Documents that Elasticsearch refuses (their field does not fit its mapping, a limit of the cluster) go into a file, each
// with the reason, before anything is told as indexed: nothing is lost, and they can be sent again when that is mended.
//
//   one JSON object per line: { "rejected": time, "index", "id", "reason", "document" }
import { join } from 'node:path'
import type { World } from '../world.ts'

export interface Reject {
  rejected: string
  /** Write alias. */
  index: string
  id: string
  reason: string
  document: unknown
}

/** Then nothing is indexed any more until somebody looks: a cluster that refuses everything must not fill the disk. */
const FILE_BYTES_MAX = 256 * 1024 * 1024

/** The file is full. What to do is in the message. */
export class RejectsFullError extends Error {
  override readonly name = 'RejectsFullError'
}

export class RejectsFile {
  readonly path: string
  readonly #folder: string
  readonly #world: Pick<World, 'disk' | 'clock'>

  constructor(folder: string, name: string, world: Pick<World, 'disk' | 'clock'>) {
    this.#folder = folder
    this.path = join(folder, `${name}.ndjson`)
    this.#world = world
  }

  /** On the device when it resolves. */
  async add(rejects: Omit<Reject, 'rejected'>[]): Promise<void> {
    if (rejects.length === 0) return
    const { disk, clock } = this.#world
    const rejected = new Date(clock.now()).toISOString()
    const lines = rejects.map(reject => `${JSON.stringify({ rejected, ...reject })}\n`).join('')
    await disk.makeFolder(this.#folder)
    const file = await disk.open(this.path, 'append')
    try {
      const { size } = await file.stat()
      if (size + lines.length > FILE_BYTES_MAX) {
        throw new RejectsFullError(
          `${this.path} is full with ${size} bytes of documents that Elasticsearch refused: look at their reasons, mend them, and send them again or remove the file`,
        )
      }
      // A crash may have left half a line at the end.
      await file.append([Buffer.from(size > 0 ? `\n${lines}` : lines)])
      await file.sync()
    } finally {
      await file.close()
    }
  }

  /** In the order they came; a line that a crash cut short is passed over (it was not told as settled). */
  async read(): Promise<Reject[]> {
    const { disk } = this.#world
    if (!(await disk.stat(this.path))) return []
    const text = (await disk.readFile(this.path)).toString('utf8')
    return text.split('\n').flatMap(line => {
      try {
        return line === '' ? [] : [JSON.parse(line) as Reject]
      } catch {
        return []
      }
    })
  }

  /** What is left after some were sent again. */
  async replace(rejects: Reject[]): Promise<void> {
    const { disk } = this.#world
    if (rejects.length === 0) return disk.remove(this.path)
    await disk.replaceFile(this.path, Buffer.from(rejects.map(reject => `${JSON.stringify(reject)}\n`).join('')))
  }
}
