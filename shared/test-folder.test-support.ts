// A folder of a test's own, which outlives what the test started.
import type { Test } from 'tap'

/**
 * As `t.testdir`. Tap removes such a folder before it calls the teardowns that were registered later: a process that still
 * writes into it keeps it from going, and is never stopped. So one comes first.
 */
export function testFolder(
  t: Pick<Test, 'teardown' | 'testdir'>,
  content: Parameters<Test['testdir']>[0] = {},
): string {
  t.teardown(() => undefined)
  return t.testdir(content)
}
