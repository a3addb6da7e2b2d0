// The live page over the whole fleet as a user starts it: files, `bucktail up`, a browser.
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { test } from 'tap'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { until } from '../shared/until.test-support.ts'
import { openPage, shownTexts, startBrowser, untilLive } from './browser.test-support.ts'
import { pidOf, startUp } from './command.ts'

test('the live page', async t => {
  const browser = await startBrowser(t)
  if (!browser) return
  const dir = testFolder(t)
  const log = join(dir, 'app.log')
  writeFileSync(log, '')
  const data = join(dir, 'data')
  const up = await startUp(t, ['--data', data, '--host', 'web1', log])
  const { page, faults } = await openPage(browser, `${up.url}/?q=marked`)
  await untilLive(page, 3)
  const shown = (text: string) => page.locator('.row.line .text', { hasText: text })
  let written = 0
  const write = () => appendFileSync(log, `marked line ${written++}.\n`)

  await t.test('a line written to a file is shown within moments, once, although two bucks send it', async t => {
    const delays: number[] = []
    for (let i = 0; i < 10; i++) {
      const startMs = performance.now()
      write()
      await shown(`marked line ${written - 1}.`).waitFor()
      delays.push(Math.round(performance.now() - startMs))
    }
    t.comment(`from the write to the page, ms: ${delays.join(' ')}`)
    await sleep(1_000) // the second copies are there by then
    t.same(await shownTexts(page), expected(written))
  })

  await t.test('a buck killed with -9 leaves no gap and comes back by itself', async t => {
    const kill = async (role: string) => {
      process.kill(pidOf(data, role), 'SIGKILL')
      for (let i = 0; i < 20; i++) {
        write()
        await sleep(25)
      }
    }
    await kill('buck1')
    await page.locator('.marker', { hasText: /buck1 is back after .*, 0 lines missed/ }).waitFor()
    await untilLive(page, 3)
    write()
    await shown(`marked line ${written - 1}.`).waitFor()
    await until('every line is shown', async () => (await allTexts(page)).length >= written)
    t.same((await allTexts(page)).sort(byNumber), expected(written))
  })

  await t.test('live goes on while archie is dead', async t => {
    process.kill(pidOf(data, 'archie'), 'SIGKILL')
    write()
    await shown(`marked line ${written - 1}.`).waitFor()
    t.equal(await shown(`marked line ${written - 1}.`).count(), 1)
  })

  t.same(faults, [])
  await page.context().close()
  await up.stop()
})

const expected = (count: number) => Array.from({ length: count }, (_, i) => `marked line ${i}.`)
const byNumber = (a: string, b: string) => Number.parseInt(a.slice(12), 10) - Number.parseInt(b.slice(12), 10)

/** The list holds only rows in sight: it is read from its start to its end. */
async function allTexts(page: Page): Promise<string[]> {
  const all = new Set<string>()
  await page.evaluate(() => document.getElementById('list')?.scrollTo(0, 0))
  for (let at = 0; ; at++) {
    await sleep(100)
    const texts = await shownTexts(page)
    if (new Set(texts).size !== texts.length) throw new Error(`a line is shown twice: ${texts.join(' | ')}`)
    for (const text of texts) all.add(text)
    const isEnd = await page.evaluate(() => {
      const list = document.getElementById('list') as HTMLElement
      const before = list.scrollTop
      list.scrollBy(0, list.clientHeight)
      return list.scrollTop === before
    })
    if (isEnd || at > 100) return [...all]
  }
}
