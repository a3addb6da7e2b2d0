// All of one line: its fields, its whole text, the lines around it. Beside the list, or over it on a narrow screen.
import type { EventJson } from '../shared/event-json.ts'
import { ApiError, getJson } from './api.ts'
import { el } from './dom.ts'
import { clockText, type Line, lineFromSearch, timeNsText } from './line.ts'

const CONTEXT_LINES = 8

export class Details {
  readonly #panel: HTMLElement
  readonly #onFilter: (field: 'host' | 'app' | 'level' | 'file', value: string) => void
  #loading: AbortController | undefined

  constructor(panel: HTMLElement, onFilter: (field: 'host' | 'app' | 'level' | 'file', value: string) => void) {
    this.#panel = panel
    this.#onFilter = onFilter
  }

  get isOpen(): boolean {
    return !this.#panel.hidden
  }

  close(): void {
    this.#loading?.abort()
    this.#panel.hidden = true
    this.#panel.replaceChildren()
  }

  show(line: Line, place: 'recent' | 'archive' | `history-${string}`): void {
    this.#loading?.abort()
    const loading = new AbortController()
    this.#loading = loading
    const text = el('pre', { class: 'message', text: line.message })
    const around = el('div', { class: 'context' }, el('p', { class: 'quiet', text: 'loading the lines around it …' }))
    const filter = (field: 'host' | 'app' | 'level' | 'file', value: string) =>
      value
        ? el('button', {
            class: 'link',
            text: value,
            title: `only ${field} ${value}`,
            onClick: () => this.#onFilter(field, value),
          })
        : '–'
    const facts: [string, Node | string][] = [
      ['time', timeNsText(line.timeNs) + (line.timeIsGuessed ? ' (not in the line: when it was read)' : '')],
      ['host', filter('host', line.host)],
      ['app', filter('app', line.app)],
      ['level', filter('level', line.level)],
      ['file', filter('file', line.path)],
      ['source', `${line.source} at byte ${line.offset}`],
      ['id', line.id],
    ]
    this.#panel.replaceChildren(
      el(
        'header',
        {},
        el('h2', { text: 'Line' }),
        el('button', {
          text: 'Copy',
          title: 'Copy the text',
          onClick: () => void navigator.clipboard?.writeText(text.textContent ?? ''),
        }),
        el('button', { text: 'Close', title: 'Escape', onClick: () => this.close() }),
      ),
      text,
      el('dl', {}, ...facts.flatMap(([name, value]) => [el('dt', { text: name }), el('dd', {}, value)])),
      el('h3', { text: 'Around it in the file' }),
      around,
    )
    this.#panel.hidden = false
    void this.#loadContext(line, place, text, around, loading.signal)
  }

  async #loadContext(
    line: Line,
    place: string,
    text: HTMLElement,
    around: HTMLElement,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      const path = `/api/v1/events/${encodeURIComponent(line.id)}/context`
      const parameters = { before: CONTEXT_LINES, after: CONTEXT_LINES, in: place }
      const context = await getJson<{ before: EventJson[]; event: EventJson; after: EventJson[] }>(
        path,
        parameters,
        signal,
      )
      text.textContent = context.event.message // a live line is cut at 32 KB
      const row = (event: EventJson, className: string) => {
        const { timeNs, message } = lineFromSearch(event, 0)
        return el(
          'div',
          { class: className },
          el('span', { class: 'time', text: clockText(timeNs) }),
          el('span', { text: message }),
        )
      }
      around.replaceChildren(
        ...context.before.map(event => row(event, 'around')),
        row(context.event, 'around self'),
        ...context.after.map(event => row(event, 'around')),
      )
    } catch (error) {
      if (signal.aborted) return
      const reason = error instanceof ApiError ? `${error.problem.detail} ${error.problem.hint ?? ''}` : String(error)
      around.replaceChildren(el('p', { class: 'quiet', text: reason }))
    }
  }
}
