// What can be said of the rows of a block without their text: some match for sure, some may, the others do not.
//
//              yes               maybe                          (never in both)
//   not a      the rest          maybe a
//   a and b    yes a ∩ yes b     (yes ∪ maybe a) ∩ (yes ∪ maybe b) \ yes
//   a or b     yes a ∪ yes b     (maybe a ∪ maybe b) \ yes
import { Rows } from './rows.ts'

export interface Verdict {
  yes: Rows
  maybe: Rows
}

export function noneOf(size: number): Verdict {
  return { yes: new Rows(size), maybe: new Rows(size) }
}

export function allOf(size: number): Verdict {
  return { yes: Rows.all(size), maybe: new Rows(size) }
}

export function unknown(size: number): Verdict {
  return { yes: new Rows(size), maybe: Rows.all(size) }
}

export function isNone({ yes, maybe }: Verdict): boolean {
  return yes.isEmpty && maybe.isEmpty
}

// These may write into their arguments, which are of no use afterwards.

export function maybeOnly({ yes, maybe }: Verdict): Verdict {
  return { yes: new Rows(yes.size), maybe: maybe.or(yes) }
}

export function not({ yes, maybe }: Verdict): Verdict {
  return { yes: yes.or(maybe).invert(), maybe }
}

export function and(a: Verdict, b: Verdict): Verdict {
  const possible = a.maybe.or(a.yes).and(b.maybe.or(b.yes))
  const yes = a.yes.and(b.yes)
  return { yes, maybe: possible.without(yes) }
}

export function or(a: Verdict, b: Verdict): Verdict {
  const yes = a.yes.or(b.yes)
  return { yes, maybe: a.maybe.or(b.maybe).without(yes) }
}
