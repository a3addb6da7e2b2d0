// The pages in a real browser, over real bucks and an archie in this process.
import type { Page } from 'playwright-core'
import { test } from 'tap'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { until } from '../shared/until.test-support.ts'
import { openPage, shownTexts, startBrowser, untilLive } from './browser.test-support.ts'
import { SmallSite } from './small-site.test-support.ts'

const text = (page: Page, what: string) => page.locator('.row.line .text', { hasText: what })

test('the pages', async t => {
  const browser = await startBrowser(t)
  if (!browser) return
  const site = await SmallSite.start(testFolder(t), { bucks: 3 })
  t.teardown(() => site.close())

  t.test('a line is shown once although two bucks send it, and lines stand in order', async t => {
    const { page, faults } = await openPage(browser, site.url)
    await untilLive(page, 3)
    for (let i = 0; i < 12; i++) {
      await site.write([{ text: `ordered ${i}` }])
      // On a busy machine one may overtake another by more than the page waits for.
      await text(page, `ordered ${i}`).first().waitFor()
    }
    t.same(
      (await shownTexts(page)).filter(line => line.startsWith('ordered')),
      Array.from({ length: 12 }, (_, i) => `ordered ${i}`),
    )
    t.same(faults, [])
    await page.context().close()
  })

  t.test('the filter is in the URL, is applied by the bucks, and survives a reload', async t => {
    const { page, faults } = await openPage(browser, `${site.url}/?q=wanted&app=shop`)
    await untilLive(page, 3)
    t.equal(await page.locator('#q').inputValue(), 'wanted')
    await site.write([{ text: 'wanted 1' }, { text: 'other 1' }])
    await site.write([{ text: 'wanted by another app', app: 'mail' }])
    await text(page, 'wanted 1').waitFor()
    t.equal(await page.locator('mark', { hasText: 'wanted' }).count(), 1, 'the word is marked')
    t.same(await shownTexts(page), ['wanted 1'])
    await page.fill('#q', 'other')
    await page.waitForURL(/q=other/)
    await untilLive(page, 3)
    await text(page, 'other 1').waitFor() // it was written before: the last minutes are shown too
    await site.write([{ text: 'other 2' }, { text: 'wanted 2' }])
    await text(page, 'other 2').waitFor()
    t.same(await shownTexts(page), ['other 1', 'other 2'])
    await page.reload()
    await text(page, 'other 2').waitFor()
    t.same(faults, [])
    await page.context().close()
  })

  t.test('a bad query says what is wrong and where, and mending it goes on', async t => {
    const { page, faults } = await openPage(browser, `${site.url}/?q=a (b`)
    await page.locator('#problem code').waitFor()
    t.match(await page.locator('#problem').textContent(), /is not closed/)
    t.equal(await page.locator('#problem code b').textContent(), '(')
    await page.fill('#q', 'mended')
    await page.waitForURL(/q=mended/)
    await untilLive(page, 3)
    await site.write([{ text: 'mended line' }])
    await text(page, 'mended line').waitFor()
    t.equal(await page.locator('#problem').isVisible(), false)
    t.same(faults, [])
    await page.context().close()
  })

  t.test('whatever a line holds, it is text', async t => {
    const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>\u202e&amp; \u0000\u001b[31m'
    const { page, faults } = await openPage(browser, `${site.url}/?app=evil`)
    await untilLive(page, 3)
    await site.write([{ text: evil, app: 'evil' }])
    await text(page, 'onerror').waitFor()
    await text(page, 'onerror').click()
    await page.locator('.around.self').waitFor()
    t.match(await page.title(), /Live/)
    t.equal(await page.locator('.list img, .details img').count(), 0)
    t.match(await page.locator('.details .message').textContent(), /<script>/)
    t.same(faults, [])
    await page.context().close()
  })

  t.test('scrolling up, selecting and the space bar pause; nothing moves; the button goes on', async t => {
    const { page, faults } = await openPage(browser, `${site.url}/?app=busy`)
    await untilLive(page, 3)
    await site.write(Array.from({ length: 300 }, (_, i) => ({ text: `busy ${i}`, app: 'busy' })))
    await text(page, 'busy 299').waitFor()
    await page.locator('#list').hover()
    await page.mouse.wheel(0, -1500)
    await page.locator('#newer').waitFor()
    await page.waitForTimeout(100)
    const before = await shownTexts(page)
    await site.write(Array.from({ length: 5 }, (_, i) => ({ text: `busy again ${i}`, app: 'busy' })))
    await page.locator('#newer', { hasText: '5 new lines' }).waitFor()
    t.same(await shownTexts(page), before)
    await page.click('#newer')
    await text(page, 'busy again 4').waitFor()
    t.ok(await page.locator('.row').evaluateAll(rows => rows.length < 200), 'a bounded number of rows in the document')

    await page.locator('#list').press(' ')
    await site.write([{ text: 'while paused', app: 'busy' }])
    await page.locator('#newer', { hasText: '1 new line' }).waitFor()
    await page.locator('#list').press(' ')
    await text(page, 'while paused').waitFor()

    await page.keyboard.press('/')
    t.equal(await page.evaluate(() => document.activeElement?.id), 'q')
    await text(page, 'while paused').selectText()
    await page.locator('#newer').waitFor()
    t.same(faults, [])
    await page.context().close()
  })

  t.test('a killed buck is shown as away, leaves no gap, and comes back by itself', async t => {
    const { page, faults } = await openPage(browser, `${site.url}/?app=gap`)
    await untilLive(page, 3)
    let written = 0
    const write = async (to?: number[]) => site.write([{ text: `gap ${written++}`, app: 'gap' }], to)
    for (let i = 0; i < 5; i++) await write()
    await site.stopBuck(1)
    await page.locator('.buck.away', { hasText: 'buck1' }).waitFor()
    for (let i = 0; i < 5; i++) await write()
    await site.startBuck(1)
    await untilLive(page, 3)
    for (let i = 0; i < 5; i++) await write()
    await page.locator('.marker', { hasText: /buck1 is back after .*, 0 lines missed/ }).waitFor()
    await until('every line is shown', async () => (await shownTexts(page)).length >= written)
    t.same((await shownTexts(page)).sort(), Array.from({ length: written }, (_, i) => `gap ${i}`).sort())
    t.same(faults, [])
    await page.context().close()
  })

  t.test('lines that only a lost connection would have brought are fetched when it is back', async t => {
    const { page, faults } = await openPage(browser, `${site.url}/?app=cut`)
    await untilLive(page, 3)
    await site.write([{ text: 'cut before', app: 'cut' }])
    await text(page, 'cut before').waitFor()
    for (const k of [0, 1, 2]) await site.stopBuck(k)
    await page.waitForFunction(() => document.querySelectorAll('.buck.away').length === 3)
    // Written, sent and indexed while this page was connected to none.
    await site.index.add([site.pack([{ text: 'cut meanwhile', app: 'cut' }])], { manifests: [], gone: [] })
    for (const k of [0, 1, 2]) await site.startBuck(k)
    await untilLive(page, 3)
    await text(page, 'cut meanwhile').waitFor()
    await page.locator('.marker', { hasText: /1 missed lines? fetched/ }).waitFor()
    t.same(
      (await shownTexts(page)).filter(line => line.startsWith('cut')),
      ['cut before', 'cut meanwhile'],
    )
    t.same(faults, [])
    await page.context().close()
  })

  t.test('a click on a line shows its fields and the lines around it; a click on a field filters', async t => {
    await site.write(Array.from({ length: 30 }, (_, i) => ({ text: `context ${i}`, app: 'ctx', host: 'web7' })))
    const { page, faults } = await openPage(browser, `${site.url}/?q="context 15"`)
    await text(page, 'context 15').click()
    await page.locator('.around').nth(16).waitFor()
    t.equal(await page.locator('.around.self').count(), 1)
    t.equal(await page.locator('.around').count(), 17)
    await page.locator('.details button.link', { hasText: 'web7' }).click()
    await page.waitForURL(/host=web7/)
    await page.keyboard.press('Escape')
    await page.locator('#details').waitFor({ state: 'hidden' })
    t.same(faults, [])
    await page.context().close()
  })

  t.test('search: newest first, more on demand, figures that narrow by a click', async t => {
    const nowMs = Date.now()
    const old = site.pack(
      Array.from({ length: 450 }, (_, i) => ({
        text: `found ${i}`,
        app: 'find',
        host: 'web8',
        // Many lines of one instant, so that pages cut through them.
        timeMs: nowMs - 600_000 + Math.floor(i / 225) * 1000,
        isInstant: true,
        level: i % 10 === 0 ? 'error' : 'info',
      })),
    )
    await site.index.add([old], { manifests: [], gone: [] })
    await site.write([{ text: 'found fresh', app: 'find', host: 'web9' }])
    const { page, faults } = await openPage(browser, `${site.url}/search?q=found&range=1h`)
    const rows = page.locator('.found .line')
    await rows.nth(199).waitFor()
    t.equal(await rows.count(), 200)
    t.match(await rows.first().textContent(), /found fresh/)
    await page.click('#more')
    await page.waitForFunction(() => document.querySelectorAll('.found .line').length > 200)
    while (await page.locator('#more').isVisible()) {
      const before = await rows.count()
      await page.click('#more')
      await page.waitForFunction(
        n =>
          document.querySelectorAll('.found .line').length > n || document.querySelector<HTMLElement>('#more')?.hidden,
        before,
      )
    }
    t.equal(await rows.count(), 451)
    t.equal(new Set(await rows.locator('.text').allTextContents()).size, 451)
    await page.locator('#summary', { hasText: '451 events' }).waitFor()
    await page.locator('.chart .bar').first().waitFor({ state: 'attached' })
    await page.locator('#top button', { hasText: 'web9' }).click()
    await page.waitForURL(/host=web9/)
    await page.waitForFunction(() => document.querySelectorAll('.found .line').length === 1)
    await page.fill('#q', 'nothing like this')
    await page.press('#q', 'Enter')
    await page.locator('#empty', { hasText: 'Nothing found' }).waitFor()
    await page.fill('#q', '/(/')
    await page.press('#q', 'Enter')
    await page.locator('#problem code').waitFor()
    t.same(faults, [])
    await page.context().close()
  })

  t.test('search: what is found is shown at once, a long search can be stopped, and goes on from there', async t => {
    const startMs = Date.now() - 3_600_000
    const lines = Array.from({ length: 100 }, (_, i) => ({ text: `slow ${i}`, app: 'slow', timeMs: startMs + i }))
    await site.index.add([site.pack(lines)], { manifests: [], gone: [] })
    const quick = site.index.search.bind(site.index)
    site.index.search = async function* (request, onDamage) {
      let found = 0
      for await (const event of quick(request, onDamage)) {
        yield event
        if (++found % 10 === 0) await site.world.clock.sleep(2_000, request.signal)
      }
    }
    const { page, faults } = await openPage(browser, `${site.url}/search?q=slow&range=1d`)
    const rows = page.locator('.found .line')
    await page.locator('#stop').waitFor()
    await rows.nth(9).waitFor()
    t.ok(await page.locator('#progress').isVisible())
    await page.click('#stop')
    await page.locator('#summary', { hasText: /^stopped: \d+ of \d+ blocks/ }).waitFor()
    const shown = await rows.count()
    t.ok(shown >= 10 && shown < 100, `${shown} lines`)
    t.equal(await page.locator('#stop').isVisible(), false)
    t.equal(await page.locator('#progress').isVisible(), false)
    site.index.search = quick
    await page.click('#more')
    await rows.nth(99).waitFor()
    t.equal(await rows.count(), 100)
    t.same(faults, [])
    await page.context().close()
  })

  t.test('status names bucks, tailer and stores, and the ledger', async t => {
    const { page, faults } = await openPage(browser, `${site.url}/status`)
    await page.locator('#bucks-table tr', { hasText: 'buck2' }).waitFor()
    await page.locator('#tailers-table', { hasText: site.keys.id.slice(0, 8) }).waitFor()
    await page.locator('#ledger-verdict', { hasText: 'missing' }).waitFor()
    await page.locator('#ledger-table tbody tr').nth(3).waitFor()
    t.same(faults, [])
    await page.context().close()
  })

  t.test('on a narrow screen nothing sticks out', async t => {
    for (const path of ['/', '/search?q=found&range=1h', '/status']) {
      const { page, faults } = await openPage(browser, site.url + path, { width: 400, height: 800 })
      await page.waitForTimeout(500)
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), path)
      t.same(faults, [])
      await page.context().close()
    }
  })
})
