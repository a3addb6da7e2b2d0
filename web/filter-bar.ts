// The query and the fields beside it: read from the URL, written to it, so that a filter can be sent to somebody.
import { byId, el } from './dom.ts'

export interface Filter {
  q: string
  host: string
  app: string
  level: string
  file: string
}

export const FILTER_FIELDS = ['q', 'host', 'app', 'level', 'file'] as const
/** After the last key: a query half typed is asked once, not at every key. */
const TYPING_MS = 400

export function filterFromUrl(): Filter {
  const query = new URLSearchParams(location.search)
  const field = (name: keyof Filter) => query.get(name) ?? ''
  return { q: field('q'), host: field('host'), app: field('app'), level: field('level'), file: field('file') }
}

export function readFilter(form: HTMLFormElement): Filter {
  const data = new FormData(form)
  const field = (name: keyof Filter) => String(data.get(name) ?? '').trim()
  return { q: field('q'), host: field('host'), app: field('app'), level: field('level'), file: field('file') }
}

export function writeFilter(form: HTMLFormElement, filter: Partial<Record<string, string>>): void {
  for (const [name, value] of Object.entries(filter)) {
    const input = form.elements.namedItem(name)
    if (input instanceof HTMLInputElement || input instanceof HTMLSelectElement) input.value = value ?? ''
  }
}

/** Calls `apply` when the reader stopped typing, pressed Enter, or chose a level. */
export function watchForm(form: HTMLFormElement, apply: () => void): void {
  let timer: ReturnType<typeof setTimeout> | undefined
  const soon = (ms: number) => {
    clearTimeout(timer)
    timer = setTimeout(apply, ms)
  }
  form.addEventListener('input', () => soon(TYPING_MS))
  form.addEventListener('change', () => soon(0))
  form.addEventListener('submit', event => {
    event.preventDefault()
    soon(0)
  })
}

/** Shows what is wrong with the query, and where; nothing to show hides it. */
export function showProblem(problem?: { text: string; hint?: string; query?: string; position?: number }): void {
  const place = byId('problem')
  place.hidden = problem === undefined
  if (!problem) {
    place.replaceChildren()
    return
  }
  const { text, hint, query, position } = problem
  const parts: Node[] = [el('span', { text })]
  if (hint) parts.push(el('span', { class: 'hint', text: hint }))
  if (query !== undefined && position !== undefined) {
    const at = Math.min(position, query.length)
    parts.push(
      el('code', {}, query.slice(0, at), el('b', { text: query.slice(at, at + 1) || '\u00a0' }), query.slice(at + 1)),
    )
  }
  place.replaceChildren(...parts)
}

/** `/` goes to the query from anywhere; Escape leaves it. */
export function watchSlash(input: HTMLInputElement): void {
  document.addEventListener('keydown', event => {
    if (event.key === '/' && !isTyping(event)) {
      event.preventDefault()
      input.focus()
      input.select()
    } else if (event.key === 'Escape' && document.activeElement === input) {
      input.blur()
    }
  })
}

export function isTyping(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return true
  return event.target instanceof HTMLElement && event.target.matches('input, select, textarea, button')
}
