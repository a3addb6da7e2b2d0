// The search page: recent days or the archive, the newest first, with volume and the most frequent values. All that is
// asked for stands in the URL.
import type { EventJson } from '../shared/event-json.ts'
import { ApiError, getJson, type Parameters, streamSearch } from './api.ts'
import { drawVolume, type Volume } from './chart.ts'
import { Details } from './details.ts'
import { byId, count, el, highlighted, wordsOf } from './dom.ts'
import { isTyping, readFilter, showProblem, watchSlash, writeFilter } from './filter-bar.ts'
import { clockText, type Line, lineFromSearch, timeNsText } from './line.ts'
import { Running } from './running.ts'

const PAGE = 200
/** Rows in the document: more than anybody reads, less than a browser suffers from. */
const ROWS_MAX = 5_000
/** What archie gives at most in one answer. */
const LIMIT_MAX = 10_000
const TOP_VALUES = 8

type Place = 'recent' | 'archive' | `history-${string}`
type Tops = Record<string, { values: { value: string; text?: string; events: number }[]; others: number }>
const FIELD_OF: Record<string, { field: 'host' | 'app' | 'level' | 'file'; title: string }> = {
  levels: { field: 'level', title: 'Levels' },
  hosts: { field: 'host', title: 'Hosts' },
  apps: { field: 'app', title: 'Applications' },
  paths: { field: 'file', title: 'Files' },
}

const form = byId<HTMLFormElement>('filter')
const list = byId('list')
const more = byId<HTMLButtonElement>('more')
const details = new Details(byId('details'), narrow)
let shown = new Map<string, Line>()
let oldest: Line | undefined
let running: Running | undefined

watchSlash(byId<HTMLInputElement>('q'))
form.addEventListener('submit', event => {
  event.preventDefault()
  go()
})
form.addEventListener('change', event => {
  showOwnRange()
  const isChoice = event.target instanceof HTMLSelectElement
  if (isChoice && value('range') !== 'own') go()
})
more.addEventListener('click', () => void loadMore())
byId('stop').addEventListener('click', () => running?.stop.abort())
window.addEventListener('popstate', () => fromUrl())
document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && details.isOpen && !isTyping(event)) details.close()
})
getJson<{ environment: string }>('/api/v1/bucks').then(
  ({ environment }) => {
    byId('environment').textContent = environment
  },
  () => undefined, // the search itself tells when archie is away
)
fromUrl()

function value(name: string): string {
  return String(new FormData(form).get(name) ?? '').trim()
}

function fromUrl(): void {
  const query = new URLSearchParams(location.search)
  const get = (name: string) => query.get(name) ?? ''
  offerPlace(get('in'))
  const hasTimes = get('since') !== '' || get('until') !== ''
  writeFilter(form, {
    ...Object.fromEntries(['q', 'host', 'app', 'level', 'file', 'since', 'until'].map(name => [name, get(name)])),
    in: get('in') || 'recent',
    range: hasTimes ? 'own' : get('range') || '1d',
  })
  showOwnRange()
  void search()
}

/** The form goes into the URL, and the search begins. */
function go(): void {
  const own = value('range') === 'own'
  const fields: Record<string, string> = {
    ...readFilter(form),
    ...(own ? { since: value('since'), until: value('until') } : { range: value('range') }),
    in: value('in'),
  }
  const query = new URLSearchParams(Object.entries(fields).filter(([, text]) => text !== ''))
  window.history.pushState(null, '', `?${query}`)
  void search()
}

/** A history is offered where an address names it. */
function offerPlace(place: string): void {
  const places = form.elements.namedItem('in') as HTMLSelectElement
  if (!place.startsWith('history-') || [...places.options].some(option => option.value === place)) return
  places.append(el('option', { text: place, set: { value: place } }))
}

function narrow(field: 'host' | 'app' | 'level' | 'file', text: string): void {
  writeFilter(form, { [field]: text })
  go()
}

function showOwnRange(): void {
  byId('own-range').hidden = value('range') !== 'own'
}

function parameters(): Parameters {
  const range = value('range')
  const times =
    range === 'own' ? { since: value('since'), until: value('until') } : range === 'all' ? {} : { since: range }
  return { ...readFilter(form), ...times, in: value('in') }
}

async function search(): Promise<void> {
  running?.stop.abort()
  const own = new Running()
  running = own
  showProblem()
  details.close()
  shown = new Map()
  oldest = undefined
  list.replaceChildren()
  byId('damages').replaceChildren()
  byId('empty').hidden = true
  byId('summary').textContent = 'searching …'
  byId('chart').replaceChildren()
  byId('top').replaceChildren()
  more.hidden = true
  const asked = parameters()
  let isFound = false
  try {
    await find({ ...asked, limit: PAGE }, own)
    isFound = true
    if (shown.size === 0) {
      byId('empty').textContent =
        'Nothing found. Try a longer time range, fewer words, *part* of a word, or the archive.'
      byId('empty').hidden = false
    }
    own.show('counting …')
    // Volume first: top shares its pass at archie.
    const [volume, { top }] = await Promise.all([
      getJson<Volume>('/api/v1/volume', asked, own.signal),
      getJson<{ top: Tops }>('/api/v1/top', { ...asked, by: 'levels,hosts,apps,paths', limit: TOP_VALUES }, own.signal),
    ])
    drawVolume(byId('chart'), volume, (since, until) => {
      writeFilter(form, { range: 'own', since, until })
      showOwnRange()
      go()
    })
    const bound = volume.complete ? '' : ' · counted up to a limit, the newest first: there are more'
    byId('summary').textContent = `${count(volume.events)} events${bound}`
    showTops(top)
    await showShapes(asked, own.signal)
  } catch (error) {
    if (running !== own) return
    if (own.signal.aborted) {
      byId('summary').textContent = own.words()
      if (!isFound) more.hidden = shown.size === 0 || shown.size >= ROWS_MAX
      return
    }
    byId('summary').textContent = ''
    byId('chart').replaceChildren()
    showError(error)
  } finally {
    own.end()
  }
}

/** Shows what is found as it comes. Answers whether there is more. */
async function find(asked: Parameters, own: Running): Promise<boolean> {
  const words = wordsOf(value('q'))
  const damages: string[] = []
  const answer = await streamSearch(
    { ...asked, order: 'newest' },
    {
      events: events => show(events, words),
      damage: ({ where, reason }) => {
        damages.push(`${where}: ${reason}`)
        showDamages(damages)
      },
      progress: done => own.progress(done),
    },
    own.signal,
  )
  showDamages(damages)
  const isFull = shown.size >= ROWS_MAX
  more.hidden = !answer.more || isFull
  if (answer.more && isFull) {
    const text = `${count(ROWS_MAX)} lines are shown: narrow the search, or use bucktail search for all.`
    list.append(el('li', { class: 'quiet empty', text }))
  }
  return answer.more
}

/**
 * From the time of the oldest line shown, that time included: lines of one instant may be cut by a page. Those that are
 * shown already are passed over; if there is nothing else, more is asked for.
 */
async function loadMore(): Promise<void> {
  if (!oldest) return
  running?.stop.abort()
  const own = new Running()
  running = own
  const before = shown.size
  const summary = byId('summary').textContent
  more.disabled = true
  try {
    const until = timeNsText(oldest.timeNs + 1n)
    for (
      let limit = PAGE;
      limit <= LIMIT_MAX && shown.size === before;
      limit = limit < LIMIT_MAX ? Math.min(LIMIT_MAX, limit * 5) : limit + 1
    ) {
      if (!(await find({ ...parameters(), until, limit }, own))) break
    }
    byId('summary').textContent = summary
  } catch (error) {
    if (running !== own) return
    if (!own.signal.aborted) return showError(error)
    byId('summary').textContent = own.words()
  } finally {
    more.disabled = false
    own.end()
  }
}

function show(events: EventJson[], words: string[]): void {
  for (const event of events) {
    if (shown.has(event.id)) continue
    const line = lineFromSearch(event, 0)
    shown.set(line.id, line)
    list.append(makeRow(line, words))
    oldest = line
  }
}

function showDamages(damages: string[]): void {
  const texts = damages.map(text => el('p', { class: 'damage', text: `Not all was searched. ${text}` }))
  byId('damages').replaceChildren(...texts)
}

function makeRow(line: Line, words: string[]): HTMLElement {
  const row = el(
    'li',
    {
      class: `line ${line.level || 'no-level'}`,
      onClick: () => {
        if (document.getSelection()?.isCollapsed === false) return
        list.querySelector('.chosen')?.classList.remove('chosen')
        row.classList.add('chosen')
        details.show(line, value('in') as Place)
      },
    },
    el('span', { class: 'time', text: clockText(line.timeNs), title: timeNsText(line.timeNs) }),
    el('span', { class: 'host', text: line.host, title: line.host }),
    el('span', { class: 'app', text: line.app, title: line.path }),
    el('span', { class: 'text' }, highlighted(line.message.slice(0, 4000), words)),
  )
  return row
}

function showTops(top: Tops): void {
  const sections = Object.entries(FIELD_OF).flatMap(([name, { field, title }]) => {
    const { values, others } = top[name]
    const all = values.reduce((sum, { events }) => sum + events, others)
    if (all === 0) return []
    const items = values.map(({ value: text, events }) => {
      const share = el('i', { class: 'share' })
      share.style.width = `${(100 * events) / all}%`
      const button = text
        ? el(
            'button',
            {
              class: `link ${field === 'file' ? 'path' : ''}`,
              title: `only ${field} ${text}`,
              onClick: () => narrow(field, text),
            },
            el('bdi', { text }),
          )
        : el('button', { class: 'link', text: `no ${field}`, set: { disabled: '' } })
      return el('li', {}, share, button, el('span', { text: count(events) }))
    })
    if (others > 0)
      items.push(
        el(
          'li',
          {},
          el('button', { class: 'link', text: 'others', set: { disabled: '' } }),
          el('span', { text: count(others) }),
        ),
      )
    return [el('h3', { text: title }), el('ol', {}, ...items)]
  })
  byId('top').replaceChildren(...sections)
}

/** The commonest shapes of lines, below the other lists; a click shows all lines of one. Not every index knows them. */
async function showShapes(asked: Parameters, signal: AbortSignal): Promise<void> {
  let shapes: Tops[string]
  try {
    const answer = await getJson<{ top: Tops }>('/api/v1/top', { ...asked, by: 'templates', limit: TOP_VALUES }, signal)
    shapes = answer.top.templates
  } catch (error) {
    if (error instanceof ApiError && error.problem.status === 400) return
    throw error
  }
  if (shapes.values.length === 0) return
  const items = shapes.values.map(({ value: name, text = name, events }) =>
    el(
      'li',
      {},
      el('button', {
        class: 'link',
        title: `all lines of this shape: ${text}`,
        text,
        onClick: () => {
          writeFilter(form, { q: `template:${name}` })
          go()
        },
      }),
      el('span', { text: count(events) }),
    ),
  )
  byId('top').append(el('h3', { text: 'Shapes of lines' }), el('ol', {}, ...items))
}

function showError(error: unknown): void {
  if (!(error instanceof ApiError)) throw error
  const { detail, hint, position } = error.problem
  // Sums of an earlier query beside the error would look like those of this one.
  byId('top').replaceChildren()
  showProblem({ text: detail, hint, query: value('q'), position })
}
