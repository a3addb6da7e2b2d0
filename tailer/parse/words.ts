// Small questions about the bytes of a line. `end` is after the last byte that may be looked at.

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/** ASCII letters and digits. */
export function isWordByte(byte: number): boolean {
  return isDigit(byte) || isLetter(byte)
}

export function isLetter(byte: number): boolean {
  return (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a && byte < 0x80
}

/** The offset after a terminal's colour, `ESC [ 31 m`, that begins at `at`. */
export function afterColour(b: Buffer, at: number, end: number): number {
  let next = at + 1
  if (next >= end || b[next] !== 0x5b) return next
  for (next++; next < end && (isDigit(b[next]) || b[next] === 0x3b); ) next++
  return Math.min(next + 1, end)
}

/** Brackets, quotes, and the colours of terminals. */
export function skipOpening(b: Buffer, at: number, end: number): number {
  while (at < end) {
    const c = b[at]
    if (c === 0x1b) at = afterColour(b, at, end)
    else if (c === 0x5b || c === 0x28 || c === 0x22 || c === 0x3c || c === 0x27) at++
    else break
  }
  return at
}

/** Space, tab, comma, semicolon, bar, closing bracket, colon: what stands behind a number that is the time. */
export function isSeparator(c: number): boolean {
  return c === 0x20 || c === 0x09 || c === 0x2c || c === 0x3b || c === 0x7c || c === 0x5d || c === 0x3a
}

export function isHostName(b: Buffer, at: number, end: number): boolean {
  for (let i = at; i < end; i++) {
    const c = b[i]
    if (!isWordByte(c) && c !== 0x2d && c !== 0x2e && c !== 0x5f && c !== 0x3a && c !== 0x2f && c !== 0x40) return false
  }
  return true
}

/** Printable ASCII less what ends a name. */
export function isAppByte(c: number): boolean {
  return c > 0x20 && c < 0x7f && c !== 0x3a && c !== 0x5b && c !== 0x5d && c !== 0x28 && c !== 0x29 && c !== 0x22
}

export function wordEnd(b: Buffer, at: number, end: number): number {
  while (at < end && b[at] !== 0x20 && b[at] !== 0x09 && b[at] !== 0x0a && b[at] !== 0x0d) at++
  return at
}

export function skipSpace(b: Buffer, at: number, end: number): number {
  while (at < end && (b[at] === 0x20 || b[at] === 0x09)) at++
  return at
}
