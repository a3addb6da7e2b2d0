// The history page in a real browser, over a real fleet: asked for, built, searched, dropped.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { until } from '../shared/until.test-support.ts'
import { openPage, startBrowser } from './browser.test-support.ts'
import { startUp } from './command.ts'

test('a history is asked for, built, searched and dropped on its page', { timeout: 600_000 }, async t => {
  const browser = await startBrowser(t)
  if (!browser) return
  const dir = testFolder(t)
  const file = join(dir, 'app.log')
  writeFileSync(file, Array.from({ length: 300 }, (_, n) => `2026-03-01T10:00:00Z app: order ${n} shipped\n`).join(''))
  const up = await startUp(t, ['--data', join(dir, 'data'), '--bucket-time', '1s', file])
  await until('the lines are known', async () => {
    const answer = await fetch(`${up.url}/api/v1/search?since=2026-03-01&q=shipped&limit=1`)
    return answer.ok && ((await answer.json()) as { events: unknown[] }).events.length === 1
  })

  const { page, faults } = await openPage(browser, `${up.url}/history`)
  await page.fill('input[name="since"]', '2026-03-01T09:00:00Z')
  await page.fill('input[name="until"]', '2026-03-01T11:00:00Z')
  await page.click('button[type="submit"]')
  const row = page.locator('#histories tbody tr')
  await row.locator('td', { hasText: 'done' }).waitFor()
  t.match(await row.textContent(), /2026-03-01 09:00:00 – 2026-03-01 11:00:00.*300/)

  const [search] = await Promise.all([page.waitForURL(/\/search\?in=history-/), row.locator('a').click()])
  t.equal(search, undefined)
  await page.fill('#q', '"order 299"')
  await page.keyboard.press('Enter')
  await page.locator('#list .text', { hasText: 'order 299 shipped' }).waitFor()
  t.match(await page.locator('select[name="in"]').inputValue(), /^history-/)

  await page.goto(`${up.url}/history`)
  await page.locator('button', { hasText: 'Drop' }).click()
  await page.locator('#histories', { hasText: 'None yet' }).waitFor()

  await page.fill('input[name="since"]', 'nonsense')
  await page.fill('input[name="until"]', '1d')
  await page.click('#estimate')
  await page.locator('#problem', { hasText: '"nonsense" is no time' }).waitFor()
  t.same(
    faults.filter(fault => !fault.includes('400')),
    [],
  )
  await page.context().close()
})
