// Waiting in tests: for the very state that is checked next, never for a time. A state that comes ends the wait at once, so
// the bound is only for the fault; it is long, because the machine may be busy with something else.
const COMES_WITHIN_MS = 150_000
/** Soon again at first; what takes long is not asked so often that it takes longer for it. */
const PAUSE_MS_LEAST = 5
const PAUSE_MS_MOST = 200

/** Rejects with what was waited for, so that a test fails by its own words and not by the runner's time-out. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, ms = COMES_WITHIN_MS): Promise<void> {
  const deadline = performance.now() + ms
  for (let pauseMs = PAUSE_MS_LEAST; !(await isSo()); pauseMs = Math.min(PAUSE_MS_MOST, pauseMs * 1.1)) {
    if (performance.now() > deadline) throw new Error(`waited ${ms / 1000} s in vain: ${what}`)
    await new Promise(resolve => setTimeout(resolve, pauseMs))
  }
}
