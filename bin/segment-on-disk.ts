// A segment file on this disk, for the commands that read it without its store.
import type { SegmentFile } from '../shared/segment.ts'
import type { Disk } from '../shared/world.ts'

export async function openSegmentFile(disk: Disk, path: string): Promise<SegmentFile & { close(): Promise<void> }> {
  const file = await disk.open(path, 'read')
  return {
    name: path,
    size: (await file.stat()).size,
    async read(from, to) {
      const into = Buffer.allocUnsafe(to - from)
      let filled = 0
      while (filled < into.length) {
        const got = await file.read(into.subarray(filled), from + filled)
        if (got === 0) break
        filled += got
      }
      return into.subarray(0, filled)
    },
    close: () => file.close(),
  }
}
