// A real browser for tests of the pages: Debian's Chromium, driven by playwright-core.
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

export interface OpenPage {
  page: Page
  /** What the page threw, or wrote to its console as an error. */
  faults: string[]
}

/** Undefined, after a loud line, where there is no browser. In CI that is a failure. */
export async function startBrowser(t: Test): Promise<Browser | undefined> {
  const executablePath = PLACES.find(path => path !== undefined && existsSync(path))
  if (executablePath === undefined) {
    const what = 'no Chromium: install it (Debian: apt-get install chromium) or set CHROMIUM to its path'
    if (process.env.CI === 'true') throw new Error(what)
    process.stderr.write(`\n*** THE PAGES ARE NOT TESTED: ${what} ***\n\n`)
    t.plan(0, what)
    return undefined
  }
  const browser = await chromium.launch({ executablePath, args: ARGUMENTS })
  t.teardown(() => browser.close())
  return browser
}

export async function openPage(
  browser: Browser,
  url: string,
  viewport = { width: 1280, height: 760 },
): Promise<OpenPage> {
  const page = await (await browser.newContext({ viewport })).newPage()
  // Only a page that never comes to show what is waited for lets this pass.
  page.setDefaultTimeout(120_000)
  const faults: string[] = []
  page.on('pageerror', error => faults.push(error.stack ?? String(error)))
  page.on('console', message => {
    // The browser's own words on refused connections and 4xx answers: tests that cause them look at the page instead.
    if (message.type() === 'error' && !/WebSocket connection|Failed to load resource/.test(message.text()))
      faults.push(message.text())
  })
  await page.goto(url)
  return { page, faults }
}

/** Every bucks' dot is green. */
export async function untilLive(page: Page, bucks: number): Promise<void> {
  await page.waitForFunction(n => document.querySelectorAll('.buck.live').length === n, bucks)
}

/** Texts of the lines in the document, from top to bottom (the list holds only those in sight). */
export function shownTexts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const top = (row: Element) => row.getBoundingClientRect().top
    return [...document.querySelectorAll('.row.line')]
      .sort((a, b) => top(a) - top(b))
      .map(row => row.querySelector('.text')?.textContent ?? '')
  })
}
