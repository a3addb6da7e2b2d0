// Where the strings, objects and values of JSON end, found without building anything. Offsets are of the byte after; -1: it
// does not end before `limit`.

/** Of the closing quote of a string that begins at `at`, behind its opening quote. */
export function stringEnd(b: Buffer, at: number, limit: number): number {
  for (let next = at; next < limit; next++) {
    const c = b[next]
    if (c === 0x22) return next
    if (c === 0x5c) next++
  }
  return -1
}

/** After the object or list that begins at `at`. */
export function nestedEnd(b: Buffer, at: number, limit: number): number {
  let depth = 0
  for (let next = at; next < limit; next++) {
    const c = b[next]
    if (c === 0x22) {
      next = stringEnd(b, next + 1, limit)
      if (next < 0) return -1
    } else if (c === 0x7b || c === 0x5b) depth++
    else if ((c === 0x7d || c === 0x5d) && --depth === 0) return next + 1
  }
  return -1
}

/** After a number, true, false or null. */
export function scalarEnd(b: Buffer, at: number, limit: number): number {
  let next = at
  while (next < limit && b[next] !== 0x2c && b[next] !== 0x7d && b[next] !== 0x5d && b[next] > 0x20) next++
  return next === at ? -1 : next
}
