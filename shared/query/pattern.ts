// Regular expressions of a query. RE2's automata: time linear in the line, whatever the pattern.
import { RE2JS, RE2JSException } from 're2js'

/** Instructions of the compiled program; the time per character is at most proportional to it. */
export const PATTERN_PROGRAM_MAX = 1000

/** The pattern cannot be compiled, or is too big. `message` is fit to follow "at character n:". */
export class PatternError extends Error {
  override readonly name = 'PatternError'
}

/** Whether a match is anywhere in a text. @throws PatternError */
export function compilePattern(source: string, ignoreCase: boolean): (text: string) => boolean {
  const pattern = compile(source, ignoreCase)
  if (pattern.programSize() > PATTERN_PROGRAM_MAX) {
    throw new PatternError(
      `the regular expression is too big: ${pattern.programSize()} of ${PATTERN_PROGRAM_MAX} steps`,
    )
  }
  return text => pattern.test(text)
}

function compile(source: string, ignoreCase: boolean): RE2JS {
  try {
    return RE2JS.compile(source, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0)
  } catch (cause) {
    if (!(cause instanceof RE2JSException)) throw cause
    throw new PatternError(`not a regular expression: ${cause.message}`, { cause })
  }
}
