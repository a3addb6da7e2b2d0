// The history page: ask for a time range of the archive, see how far each is, search it, let it go.
import type { HistoryStatus } from '../archie/history.ts'
import { ApiError, getJson } from './api.ts'
import { byId, bytesText, count, durationText, el } from './dom.ts'
import { showProblem } from './filter-bar.ts'

const PATH = '/rpc/history'
const REFRESH_MS = 2_000
const REFRESH_BUSY_MS = 500

const form = byId<HTMLFormElement>('new')
form.addEventListener('submit', event => {
  event.preventDefault()
  void ask(false)
})
byId('estimate').addEventListener('click', () => form.reportValidity() && void ask(true))
getJson<{ environment: string }>('/api/v1/bucks').then(
  ({ environment }) => {
    byId('environment').textContent = environment
  },
  () => undefined, // the list itself tells when archie is away
)
void refresh()

async function ask(dryRun: boolean): Promise<void> {
  const fields = [...new FormData(form)].map(([name, value]) => [name, String(value).trim()])
  const body = {
    ...Object.fromEntries(fields.filter(([, value]) => value !== '')),
    by: 'web',
    ...(dryRun && { dryRun }),
  }
  await guarded(async () => {
    const { estimate, id } = await send<HistoryStatus>('POST', PATH, body)
    const { events, segments, bytes } = estimate
    const about = `about ${count(events)} events in ${count(segments)} segments, ${bytesText(bytes)} to read`
    byId('said').textContent = dryRun ? about : `${id}: ${about}`
    if (!dryRun) await show()
  })
}

async function refresh(): Promise<void> {
  const isBusy = await guarded(show)
  setTimeout(() => void refresh(), isBusy ? REFRESH_BUSY_MS : REFRESH_MS)
}

/** True while one of them is being built. */
async function show(): Promise<boolean> {
  const { histories } = await getJson<{ histories: HistoryStatus[] }>(PATH)
  const place = byId('histories')
  if (histories.length === 0) {
    place.replaceChildren(el('p', { class: 'quiet', text: 'None yet. Ask for one above.' }))
    return false
  }
  const titles = ['Range', 'Filter', 'State', 'Progress', 'Events', 'Asked for by', 'Removed', '']
  const head = el('thead', {}, el('tr', {}, ...titles.map(text => el('th', { text }))))
  place.replaceChildren(el('table', {}, head, el('tbody', {}, ...histories.map(row))))
  return histories.some(({ state }) => state === 'waiting' || state === 'running')
}

function row(history: HistoryStatus): HTMLElement {
  const { id, index, since, until, state, progress, result, users, by, expires } = history
  const filters = (['host', 'app', 'file', 'q'] as const).flatMap(name =>
    history[name] ? `${name}: ${history[name]}` : [],
  )
  const isOver = state !== 'waiting' && state !== 'running'
  const isWell = result ? result.isEqual && result.damages.length === 0 : state !== 'failed'
  const eta = progress.etaSeconds === undefined ? '' : `, ${durationText(progress.etaSeconds * 1000)} to go`
  const bar = el('progress', {
    set: { max: '1', value: String(progress.fraction) },
    title: `${progress.jobsDone} of ${progress.jobs} jobs`,
  })
  const notes = [
    ...progress.troubles,
    ...(result?.damages ?? []),
    ...(result && !result.isEqual ? ['the archive counts otherwise'] : []),
  ]
  return el(
    'tr',
    {},
    el('td', { text: `${timeText(since)} – ${timeText(until)}`, title: index }),
    el('td', { class: 'wide', text: filters.join(', ') }),
    el('td', {}, el('i', { class: `dot ${!isWell ? 'error' : isOver ? 'good' : 'warn'}` }), state),
    el(
      'td',
      {},
      bar,
      ` ${Math.floor(progress.fraction * 100)} %${eta}`,
      ...notes.map(text => el('p', { class: 'damage', text })),
    ),
    el('td', { class: 'number', text: count(result?.found ?? progress.events) }),
    el('td', { text: users > 1 ? `${by} and ${users - 1} more` : by }),
    el('td', { text: expires ? timeText(expires) : '' }),
    el(
      'td',
      {},
      el('a', {
        text: 'Search',
        set: { href: `/search?${new URLSearchParams({ in: `history-${id}`, range: 'all' })}` },
      }),
      ' ',
      !isOver && el('button', { text: 'Cancel', onClick: () => void change(`${PATH}/${id}?keep=true&by=web`) }),
      el('button', {
        text: 'Drop',
        title: 'Without any user it is removed',
        onClick: () => void change(`${PATH}/${id}?by=web`),
      }),
    ),
  )
}

function change(path: string): Promise<unknown> {
  return guarded(async () => {
    await send('DELETE', path)
    await show()
  })
}

/** Undefined if it failed; that is shown. */
async function guarded<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    const done = await work()
    showProblem()
    return done
  } catch (error) {
    const { detail, hint } = error instanceof ApiError ? error.problem : { detail: String(error), hint: undefined }
    showProblem({ text: detail, hint })
    return undefined
  }
}

async function send<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
  const response = await fetch(path, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  }).catch(() => undefined) // no answer at all: told below
  if (response?.ok) return (await response.json()) as T
  const fallback = {
    title: 'No answer',
    status: response?.status ?? 0,
    detail: 'archie cannot be reached: it may be restarting.',
  }
  const problem = response ? await response.json().catch(() => ({})) : {}
  throw new ApiError({ ...fallback, ...problem })
}

function timeText(text: string): string {
  return text.slice(0, 19).replace('T', ' ')
}
