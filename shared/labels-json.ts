// Keys and values of a JSON object, flattened with points, as the text has them: a number keeps all its digits. What is cut
// off or not quite JSON gives what stands before the fault.

/** Deeper ones are left out. */
const DEPTH_MAX = 8
/** Of a list of plain values; what comes after is left out. */
const ITEMS_MAX = 32

/**
 * @param at  of the opening brace
 * @param add  gets `a.b` and the value; lists of plain values are one label; null, empty and lists of objects are left out
 * @returns the offset after the object, or -1 if it does not end, or not as it should
 */
export function flattenJson(text: string, at: number, add: (key: string, value: string | string[]) => void): number {
  return new JsonReader(text, add).object(at, '', 0)
}

class JsonReader {
  readonly #text: string
  readonly #add: (key: string, value: string | string[]) => void
  /** The plain value just read. */
  #plain = ''
  constructor(text: string, add: (key: string, value: string | string[]) => void) {
    this.#text = text
    this.#add = add
  }

  object(at: number, prefix: string, depth: number): number {
    if (depth >= DEPTH_MAX) return this.#skip(at)
    let next = this.#space(at + 1)
    if (this.#text[next] === '}') return next + 1
    for (;;) {
      if (this.#text[next] !== '"') return -1
      next = this.#string(next)
      if (next < 0) return -1
      const key = prefix + this.#plain
      next = this.#space(next)
      if (this.#text[next] !== ':') return -1
      next = this.#value(this.#space(next + 1), key, depth)
      if (next < 0) return -1
      next = this.#space(next)
      if (this.#text[next] === '}') return next + 1
      if (this.#text[next] !== ',') return -1
      next = this.#space(next + 1)
    }
  }

  #value(at: number, key: string, depth: number): number {
    switch (this.#text[at]) {
      case '{':
        return this.object(at, `${key}.`, depth + 1)
      case '[':
        return this.#list(at, key)
      default: {
        const end = this.#scalar(at)
        if (end >= 0 && this.#plain !== '') this.#add(key, this.#plain)
        return end
      }
    }
  }

  #list(at: number, key: string): number {
    const items: string[] = []
    let isPlain = true
    let next = this.#space(at + 1)
    if (this.#text[next] === ']') return next + 1
    for (;;) {
      if (this.#text[next] === '{' || this.#text[next] === '[') {
        isPlain = false
        next = this.#skip(next)
      } else {
        next = this.#scalar(next)
        if (next >= 0 && items.length < ITEMS_MAX && this.#plain !== '') items.push(this.#plain)
      }
      if (next < 0) return -1
      next = this.#space(next)
      if (this.#text[next] === ']') break
      if (this.#text[next] !== ',') return -1
      next = this.#space(next + 1)
    }
    if (isPlain && items.length > 0) this.#add(key, items)
    return next + 1
  }

  #scalar(at: number): number {
    if (this.#text[at] === '"') return this.#string(at)
    let end = at
    while (end < this.#text.length && !',]} \t\r\n'.includes(this.#text[end])) end++
    const word = this.#text.slice(at, end)
    if (!/^(?:-?\d[\d.eE+-]*|true|false|null)$/.test(word)) return -1
    this.#plain = word === 'null' ? '' : word
    return end
  }

  #string(at: number): number {
    let end = at + 1
    let hasEscape = false
    for (; end < this.#text.length && this.#text[end] !== '"'; end++) {
      if (this.#text[end] !== '\\') continue
      hasEscape = true
      end++
    }
    if (end >= this.#text.length) return -1
    this.#plain = this.#text.slice(at + 1, end)
    if (hasEscape) {
      try {
        this.#plain = JSON.parse(this.#text.slice(at, end + 1)) as string
      } catch {
        // An escape that JSON does not have: as it stands.
      }
    }
    return end + 1
  }

  /** Over an object or list that nobody looks into. */
  #skip(at: number): number {
    let depth = 0
    for (let next = at; next < this.#text.length; next++) {
      const c = this.#text[next]
      if (c === '"') {
        next = this.#string(next) - 1
        if (next < 0) return -1
      } else if (c === '{' || c === '[') depth++
      else if ((c === '}' || c === ']') && --depth === 0) return next + 1
    }
    return -1
  }

  #space(at: number): number {
    let next = at
    while (next < this.#text.length && ' \t\r\n'.includes(this.#text[next])) next++
    return next
  }
}
