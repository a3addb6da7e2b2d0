// Regular expressions of a query. RE2's automata: time linear in the line, whatever the pattern.
import { RE2JS, RE2JSException } from 're2js'

/**
 * Steps of all compiled patterns of one query together. A character of a line costs at most so many steps: a line of the
 * greatest length (64 KB) against the worst pattern takes a fraction of a second, and usual ones have 10 to 100.
 */
export const PATTERN_STEPS_MAX = 400

/** The pattern cannot be compiled. `message` is fit to follow "at character n:". */
export class PatternError extends Error {
  override readonly name = 'PatternError'
}

export interface Pattern {
  /** Whether a match is anywhere in the text. Case counts unless `ignoreCase`. */
  isIn(text: string): boolean
  steps: number
}

/** @throws PatternError */
export function compilePattern(source: string, ignoreCase: boolean): Pattern {
  const pattern = compile(source, ignoreCase)
  return { isIn: text => pattern.test(text), steps: pattern.programSize() }
}

function compile(source: string, ignoreCase: boolean): RE2JS {
  try {
    return RE2JS.compile(source, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0)
  } catch (cause) {
    if (!(cause instanceof RE2JSException)) throw cause
    throw new PatternError(`not a regular expression: ${cause.message}`, { cause })
  }
}
