// Text that stands in every line a regular expression matches, read from the pattern; undefined where none is sure.
// It only spares lines from being decoded: so what is not understood at first sight counts as nothing.

/** Shorter ones are in too many lines to be worth a look. */
const CHARACTERS_MIN = 3

/** ASCII, to be sought in either case. The longest one of the pattern's top level. */
export function requiredText(source: string, ignoreCase: boolean): string | undefined {
  let best = ''
  let run = ''
  const end = () => {
    if (run.length > best.length) best = run
    run = ''
  }
  for (let at = 0; at < source.length; at++) {
    const c = source[at]
    const next = source[at + 1]
    let literal: string | undefined
    if (c === '|') return undefined
    if (c === '(' || c === '[') {
      const close = c === '(' ? groupEnd(source, at) : classEnd(source, at)
      // `(?i)` and the like change what follows.
      if (close === undefined || source.startsWith('(?', at)) return undefined
      end()
      at = close
      continue
    }
    if (c === '\\') {
      if (next === undefined || next === 'Q' || next === 'C') return undefined
      at++
      if (/[A-Za-z0-9]/.test(next)) {
        // \d, \b, \x41, \p{L}: what belongs to it is cut off with it, as far as it can be told.
        end()
        const body = /^\\(?:[pP]\{[^}]*\}|[pP].|x\{[^}]*\}|x..|[0-7]{1,3}|.)/u.exec(source.slice(at - 1))
        if (!body) return undefined
        at += body[0].length - 2
        continue
      }
      literal = next
    } else if ('.^$'.includes(c)) {
      end()
      continue
    } else if ('*?'.includes(c) || (c === '{' && isCount(source, at))) {
      // What stands before it may be missing.
      run = run.slice(0, -1)
      end()
      if (c === '{') at = source.indexOf('}', at)
      continue
    } else if (c === '+') {
      end()
      continue
    } else literal = c
    // With i, k is also the Kelvin sign and s the long s.
    if (literal > '\x7f' || (ignoreCase && /[ks]/i.test(literal))) end()
    else run += literal
  }
  end()
  return best.length >= CHARACTERS_MIN ? best : undefined
}

function isCount(source: string, at: number): boolean {
  return /^\{\d+(,\d*)?\}/.test(source.slice(at))
}

function groupEnd(source: string, at: number): number | undefined {
  let depth = 0
  for (let i = at; i < source.length; i++) {
    const c = source[i]
    if (c === '\\') {
      if (source[i + 1] === 'Q') return undefined
      i++
    } else if (c === '[') {
      const close = classEnd(source, i)
      if (close === undefined) return undefined
      i = close
    } else if (c === '(') {
      // Flags within a group end with it; named and plain groups are all the same here.
      depth++
    } else if (c === ')' && --depth === 0) return i
  }
  return undefined
}

function classEnd(source: string, at: number): number | undefined {
  let i = at + 1
  if (source[i] === '^') i++
  // A bracket right after the opening one is itself.
  if (source[i] === ']') i++
  for (; i < source.length; i++) {
    if (source[i] === '\\') i++
    else if (source[i] === '[' && source[i + 1] === ':') {
      const close = source.indexOf(':]', i + 2)
      if (close < 0) return undefined
      i = close + 1
    } else if (source[i] === ']') return i
  }
  return undefined
}
