// More files than a process may have open.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { until } from '../shared/until.test-support.ts'
import { bench, lines } from './tailer.test-support.ts'

const FILES = 2_100
/** 1,000, and those of the turns between two closings. */
const OPEN_MAX = 1_550

test('files that are there at a start are never all open at once, and one that was closed is read on when it grows', async t => {
  const b = await bench(t)
  const paths = Array.from({ length: FILES }, (_, i) => join(b.logFolder, `app${i}x.log`))
  for (const path of paths) await writeFile(path, lines(0, 1))
  const { disk } = b.world
  let open = 0
  let most = 0
  b.world.disk = {
    ...disk,
    async open(path, mode) {
      const file = await disk.open(path, mode)
      most = Math.max(most, ++open)
      const close = file.close.bind(file)
      file.close = async () => {
        open--
        await close()
      }
      return file
    },
  }
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, '*.log') }] })
  await until('all are read', () => tailer.status().linesRead === FILES)
  t.ok(most <= OPEN_MAX, `${most} at most`)
  await writeFile(paths[0], lines(1, 3), { flag: 'a' })
  await until('what grew is read', () => tailer.status().linesRead === FILES + 2)
  await stop()
})
