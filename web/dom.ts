// Elements without a framework. Text goes in as text nodes only: a log line can hold any markup and stays a line.

type Child = Node | string | undefined | false

interface Attributes {
  class?: string
  title?: string
  text?: string
  onClick?: (event: MouseEvent) => void
  /** Further attributes by name. */
  set?: Record<string, string>
}

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  { class: className, title, text, onClick, set = {} }: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  if (className) element.className = className
  if (title) element.title = title
  if (text !== undefined) element.textContent = text
  if (onClick) element.addEventListener('click', event => onClick(event as MouseEvent))
  for (const [name, value] of Object.entries(set)) element.setAttribute(name, value)
  for (const child of children) if (child) element.append(child)
  return element
}

export function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id)
  if (!element) throw new Error(`the page has no #${id}`)
  return element as T
}

/** The text with every occurrence of a word (any case) inside `mark`. */
export function highlighted(text: string, words: string[]): Node {
  const fragment = document.createDocumentFragment()
  const lower = text.toLowerCase()
  // Lower-casing may change the length of a few letters: then positions do not fit, and nothing is marked.
  if (words.length === 0 || lower.length !== text.length) {
    fragment.append(text)
    return fragment
  }
  let at = 0
  while (at < text.length) {
    let next = -1
    let length = 0
    for (const word of words) {
      const found = lower.indexOf(word, at)
      if (found >= 0 && (next < 0 || found < next || (found === next && word.length > length))) {
        next = found
        length = word.length
      }
    }
    if (next < 0) break
    fragment.append(text.slice(at, next), el('mark', { text: text.slice(next, next + length) }))
    at = next + length
  }
  fragment.append(text.slice(at))
  return fragment
}

/** What of a query can be marked in a line: words and phrases that must occur. */
export function wordsOf(query: string): string[] {
  const words: string[] = []
  for (const [, sign, phrase, word] of query.matchAll(/(-?)(?:"([^"]*)"|(\S+))/g)) {
    if (sign) continue
    if (phrase) words.push(phrase.toLowerCase())
    else if (word && word !== 'OR' && !/^(host|app|file|level):|^\//.test(word)) {
      const bare = word.replace(/^[(*]+|[)*]+$/g, '').toLowerCase()
      if (bare.length > 1 && !bare.includes('*')) words.push(bare)
    }
  }
  return words
}

const NUMBERS = new Intl.NumberFormat('en')
export const count = (n: number): string => NUMBERS.format(n)

export function bytesText(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let unit = 0
  let value = bytes
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} days`
}
