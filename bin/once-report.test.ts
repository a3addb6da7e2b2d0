// What a run that reads once says in its end: nothing is called done that is not in index and archive, to its end.
import { test } from 'tap'
import { reportOf } from './once-report.ts'
import type { PlaceSource } from './place.ts'

const source = (path: string, recentTo: number, archiveTo: number): PlaceSource => {
  const sums = (to: number) => ({ ranges: [[0, to] as [number, number]], events: 1, lines: 1, bytes: to })
  return { source: path, host: 'h', path, start: 0, recent: sums(recentTo), archive: sums(archiveTo) }
}

test('a file counts as missing while index, archive, or both end before it did when the run began', async t => {
  const missing = (recentTo: number, archiveTo: number, path = '/app.log', size = 28) =>
    reportOf([path], [], [source(path, recentTo, archiveTo)], new Map([[path, size]])).missing
  t.same(missing(28, 28), [])
  t.same(missing(40, 40), [], 'it grew meanwhile')
  t.same(missing(28, 13), ['/app.log'])
  t.same(missing(13, 28), ['/app.log'])
  t.same(missing(13, 13), ['/app.log'], 'nobody has its end')
  t.same(missing(13, 13, '/app.log.gz'), [], 'offsets are those of what is in a compressed file')
  t.same(reportOf(['/other.log'], [], [], new Map([['/other.log', 9]])).missing, [], 'its lines are under another name')
})
