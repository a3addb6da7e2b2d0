// The live page: every buck of the environment, each on its own socket, into one ordered list without duplicates.
import type { EventJson } from '../shared/event-json.ts'
import type { LiveBatch } from '../shared/live-messages.ts'
import { type ApiError, getJson, type SearchAnswer } from './api.ts'
import { type BuckAddress, BuckLink } from './buck-link.ts'
import { Details } from './details.ts'
import { byId, count, durationText, el, highlighted, wordsOf } from './dom.ts'
import {
  type Filter,
  filterFromUrl,
  isTyping,
  readFilter,
  showProblem,
  watchForm,
  watchSlash,
  writeFilter,
} from './filter-bar.ts'
import { clockText, type Line, lineFromLive, lineFromSearch } from './line.ts'
import { LineWindow, type Row } from './line-window.ts'
import { VirtualList } from './virtual-list.ts'

const HISTORY = { since: '15m', limit: 300 }
/** Lines fetched after a connection was lost; over this the marker says so. */
const BACKFILL_MAX = 5_000
/** Bucks come back together, and archie's view of them is a second old: one question for all. */
const BACKFILL_DELAY_MS = 1_200
const RATE_MS = 1_000
/** Of a time of today. */
const TIME_CHARACTERS = 12
const BUCKS_RETRY_MS = 3_000

const form = byId<HTMLFormElement>('filter')
const list = byId('list')
const pauseButton = byId<HTMLButtonElement>('pause')
const newer = byId<HTMLButtonElement>('newer')
const rate = byId('rate')

const lines = new LineWindow()
const links: BuckLink[] = []
let filter: Filter = filterFromUrl()
let words = wordsOf(filter.q)
let shownSince = 0
/** Paused by the button or the space bar: scrolling to the end does not end it. */
let isPausedByHand = false
let history: AbortController | undefined
let token: { value: string | undefined; untilMs: number } | undefined

const view = new VirtualList<Row>(
  list,
  () => lines.rows,
  makeRow,
  atEnd => {
    if (!atEnd) pause(false)
    else if (lines.isPaused && !isPausedByHand && !hasSelection()) resume()
  },
)
const details = new Details(byId('details'), (field, value) => {
  writeFilter(form, { [field]: value })
  applyFilter()
})

writeFilter(form, { ...filter })
watchForm(form, applyFilter)
watchSlash(byId<HTMLInputElement>('q'))
pauseButton.addEventListener('click', () => (lines.isPaused ? resume() : pause(true)))
newer.addEventListener('click', resume)
byId('clear').addEventListener('click', () => {
  lines.clear()
  view.redraw()
  showHeld()
})
document.addEventListener('keydown', event => {
  if (event.key === ' ' && !isTyping(event)) {
    event.preventDefault()
    if (lines.isPaused) resume()
    else pause(true)
  } else if (event.key === 'Escape' && details.isOpen) details.close()
})
document.addEventListener('selectionchange', () => {
  if (hasSelection()) pause(false)
})
window.addEventListener('popstate', () => {
  writeFilter(form, { ...filterFromUrl() })
  applyFilter()
})
setInterval(showRate, RATE_MS)
void start()

async function start(): Promise<void> {
  void loadHistory()
  for (;;) {
    try {
      const { environment, bucks } = await loadBucks()
      byId('environment').textContent = environment
      for (const buck of bucks) links.push(connect(buck))
      showLinks()
      return
    } catch (error) {
      showProblem({ text: (error as Error).message, hint: 'Trying again …' })
      await new Promise(resolve => setTimeout(resolve, BUCKS_RETRY_MS))
      showProblem()
    }
  }
}

async function loadBucks() {
  const answer = await getJson<{ environment: string; bucks: BuckAddress[]; token?: string; tokenSeconds?: number }>(
    '/api/v1/bucks',
  )
  // Half its life: enough for a connection to be made with it.
  token = { value: answer.token, untilMs: performance.now() + ((answer.tokenSeconds ?? 3600) * 1000) / 2 }
  return answer
}

async function freshToken(): Promise<string | undefined> {
  if (token === undefined || performance.now() > token.untilMs) await loadBucks()
  return token?.value
}

function connect(buck: BuckAddress): BuckLink {
  return new BuckLink(buck, filter, freshToken, {
    onChange: showLinks,
    onBatch: take,
    onBadFilter: ({ error, position }) => {
      showProblem({ text: error, query: filter.q, position })
      showEmpty()
    },
    onBack: (link, sinceMs, awayMs) => backfillSoon(link, sinceMs, awayMs),
  })
}

function take(link: BuckLink, batch: LiveBatch): void {
  const nowMs = performance.now()
  if (batch.unseen)
    lines.mark(`${link.name} was too busy to look at ${count(batch.unseen)} lines for viewers: search has them`, 'warn')
  if (batch.skipped)
    lines.mark(
      `skipped ${count(batch.skipped)} lines of ${link.name}: this browser was too slow. A narrower filter helps; search has all`,
      'warn',
    )
  if (batch.limited)
    lines.mark(
      `left out ${count(batch.limited)} lines of ${link.name}: over the limit for a viewer. A narrower filter helps; search has all`,
      'warn',
    )
  shownSince += lines.add(batch.events.map(event => lineFromLive(event, nowMs)))
  changed()
}

function applyFilter(): void {
  const next = readFilter(form)
  if (JSON.stringify(next) === JSON.stringify(filter)) return
  filter = next
  words = wordsOf(filter.q)
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value !== ''))
  window.history.replaceState(null, '', query.size > 0 ? `?${query}` : location.pathname)
  showProblem()
  lines.clear()
  view.redraw()
  resume()
  for (const link of links) link.setFilter(filter)
  void loadHistory()
}

/** So that the page is not empty: the newest lines of the last minutes that match. */
async function loadHistory(): Promise<void> {
  history?.abort()
  const own = new AbortController()
  history = own
  try {
    const answer = await getJson<SearchAnswer>('/api/v1/search', { ...filter, ...HISTORY, order: 'newest' }, own.signal)
    // As old as can be, so that no live line has to stand before one of them.
    backfill(answer.events)
  } catch (error) {
    if (own.signal.aborted) return
    const { detail, hint, position } = (error as ApiError).problem ?? { detail: String(error) }
    showProblem({ text: detail, hint, query: filter.q, position })
    showEmpty()
  }
}

const gaps: { link: BuckLink; sinceMs: number; awayMs: number }[] = []

function backfillSoon(link: BuckLink, sinceMs: number, awayMs: number): void {
  gaps.push({ link, sinceMs, awayMs })
  if (gaps.length === 1) setTimeout(() => void closeGaps(gaps.splice(0)), BACKFILL_DELAY_MS)
}

/** Fetches what the lost connections did not bring; most of it came from other bucks and is known. */
async function closeGaps(closing: typeof gaps): Promise<void> {
  const since = new Date(Math.min(...closing.map(({ sinceMs }) => sinceMs))).toISOString()
  const names = closing.map(({ link, awayMs }) => `${link.name} is back after ${durationText(awayMs)}`).join(', ')
  try {
    const answer = await getJson<SearchAnswer>('/api/v1/search', {
      ...filter,
      since,
      order: 'oldest',
      limit: BACKFILL_MAX,
    })
    const missed = backfill(answer.events)
    if (answer.more)
      lines.mark(
        `${names}; there were over ${count(BACKFILL_MAX)} lines meanwhile: search has those that are not here`,
        'warn',
      )
    else lines.mark(`${names}, ${missed === 0 ? '0 lines missed' : `${count(missed)} missed lines fetched`}`, 'good')
  } catch (error) {
    lines.mark(`${names}; what was missed could not be fetched: ${(error as Error).message}`, 'warn')
  }
  changed()
}

function backfill(events: EventJson[]): number {
  const added = lines.backfill(events.map(event => lineFromSearch(event, Number.NEGATIVE_INFINITY)))
  changed()
  return added
}

function pause(byHand: boolean): void {
  isPausedByHand ||= byHand
  if (lines.isPaused) return
  lines.pause()
  view.follow(false)
  showHeld()
}

function resume(): void {
  isPausedByHand = false
  document.getSelection()?.removeAllRanges()
  lines.resume()
  view.follow(true)
  showHeld()
}

function changed(): void {
  showEmpty()
  if (lines.isPaused) showHeld()
  else view.update()
}

function showHeld(): void {
  pauseButton.textContent = lines.isPaused ? 'Resume' : 'Pause'
  pauseButton.classList.toggle('on', lines.isPaused)
  newer.hidden = !lines.isPaused
  newer.textContent =
    lines.held === 0
      ? 'Paused · no new lines'
      : `Paused · ${count(lines.held)} new ${lines.held === 1 ? 'line' : 'lines'} ↓`
  showEmpty()
}

function showEmpty(): void {
  const isFiltered = Object.values(filter).some(value => value !== '')
  const place = byId('empty')
  place.hidden = lines.rows.length > 0 || !byId('problem').hidden
  place.textContent = isFiltered
    ? `No line of the last ${HISTORY.since.replace('m', ' minutes')} matches. New ones appear here as they are written.`
    : 'No lines yet. They appear here as they are written.'
}

function showRate(): void {
  rate.textContent = `${count(Math.round((shownSince * 1000) / RATE_MS))} lines/s`
  shownSince = 0
}

const STATE_TEXT = { connecting: 'connecting', asking: 'connecting', live: 'live', away: 'away' } as const

function showLinks(): void {
  byId('bucks').replaceChildren(
    ...links.map(link =>
      el(
        'span',
        {
          class: `buck ${link.state}`,
          title: `${link.url}: ${STATE_TEXT[link.state]}${link.reason && `, ${link.reason}`}`,
        },
        el('i', { class: 'dot' }),
        el('span', { text: link.name }),
        link.state !== 'live' && el('small', { text: link.reason || STATE_TEXT[link.state] }),
      ),
    ),
  )
}

function makeRow(row: Row): HTMLElement {
  if (row.kind === 'marker') return el('div', { class: `row marker ${row.tone}` }, el('span', { text: row.text }))
  return makeLine(row)
}

function makeLine(line: Line): HTMLElement {
  const [first, ...rest] = line.message.split('\n', 100)
  const time = clockText(line.timeNs)
  if (time.length > TIME_CHARACTERS) list.classList.add('long-times')
  return el(
    'div',
    {
      class: `row line ${line.level || 'no-level'}`,
      onClick: () => {
        if (!hasSelection()) details.show(line, 'recent')
      },
    },
    el('span', { class: 'time', text: time, title: line.timeIsGuessed ? 'no time in the line' : '' }),
    el('span', { class: 'host', text: line.host, title: line.host }),
    el('span', { class: 'app', text: line.app, title: line.path }),
    el(
      'span',
      { class: 'text' },
      highlighted(first.slice(0, 2000), words),
      rest.length > 0 && el('em', { text: ` +${rest.length} lines` }),
    ),
  )
}

function hasSelection(): boolean {
  const selection = document.getSelection()
  return selection !== null && !selection.isCollapsed && list.contains(selection.anchorNode)
}
