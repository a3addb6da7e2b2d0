// The shape of a line: its words and punctuation, with a mark where something differs from line to line. Lines that one
// statement of a program wrote have one shape, wherever and whenever; so it is a function of the line alone, and its hash
// names it for good: `template:ID` in a query, "templates" in a ranking. (What the columns codec calls a template is a thing
// of one block, with a number in it and no name.)
//
//   Dec 10 07:13:56 LabSZ sshd[24227]: Failed password for root from 5.36.59.76 port 42393 ssh2
//   <*> <*> <*> LabSZ sshd[<*>]: Failed password for root from <*> port <*> <*>
//
// - A word (letters, digits, `_`, bytes beyond ASCII) with a digit is a mark, and takes in what follows after a single
//   `.`, `:` or `-`: addresses, numbers with a point, times, UUIDs.
// - Names of months and weekdays, as time stamps have them, are marks; spaces and tabs count as one space.
// - The rules are such that a template of the columns codec, whose variables are words with a digit, has one shape:
//   search/shape-of-rows.ts leans on that, and looks before it does.

/** What follows in a longer shape does not count. Long lines are data more than text. */
export const SHAPE_BYTES_MAX = 1024

const MARK = Buffer.from('<*>')

const WORD = 1
const DIGIT = 2
const JOINT = 4
const SPACE = 8
const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte)
  if (byte >= 0x80 || /[A-Za-z_]/.test(character)) return WORD
  if (/[0-9]/.test(character)) return WORD | DIGIT
  if (/[.:-]/.test(character)) return JOINT
  return /[ \t]/.test(character) ? SPACE : 0
})

const CALENDAR = new Set(
  'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec Mon Tue Wed Thu Fri Sat Sun'.split(' ').map(name => keyOf(name)),
)

function keyOf(name: string): number {
  return (name.charCodeAt(0) << 16) | (name.charCodeAt(1) << 8) | name.charCodeAt(2)
}

const scratch = Buffer.alloc(SHAPE_BYTES_MAX + 2 * MARK.length)

/** A view that is valid until the next call. @param bytes an event; only its first line counts */
export function shapeOf(bytes: Buffer): Buffer {
  let end = bytes.indexOf(0x0a)
  if (end < 0) end = bytes.length
  // Also where the line feed behind it is not there (yet).
  if (end > 0 && bytes[end - 1] === 0x0d) end--
  let out = 0
  let at = 0
  while (at < end && out < SHAPE_BYTES_MAX) {
    const byte = bytes[at]
    const of = CLASSES[byte]
    if ((of & WORD) === 0) {
      at++
      if ((of & SPACE) !== 0) {
        while (at < end && (CLASSES[bytes[at]] & SPACE) !== 0) at++
        scratch[out++] = 0x20
      } else scratch[out++] = byte
      continue
    }
    const start = at
    let seen = 0
    do seen |= CLASSES[bytes[at++]]
    while (at < end && (CLASSES[bytes[at]] & WORD) !== 0)
    if ((seen & DIGIT) === 0 && !isCalendar(bytes, start, at)) {
      const room = Math.min(at - start, SHAPE_BYTES_MAX - out)
      bytes.copy(scratch, out, start, start + room)
      out += room
      continue
    }
    if ((seen & DIGIT) !== 0) {
      while (at + 1 < end && (CLASSES[bytes[at]] & JOINT) !== 0 && (CLASSES[bytes[at + 1]] & WORD) !== 0) {
        at++
        while (at < end && (CLASSES[bytes[at]] & WORD) !== 0) at++
      }
    }
    scratch[out++] = MARK[0]
    scratch[out++] = MARK[1]
    scratch[out++] = MARK[2]
  }
  return scratch.subarray(0, Math.min(out, SHAPE_BYTES_MAX))
}

function isCalendar(bytes: Buffer, start: number, end: number): boolean {
  return end - start === 3 && CALENDAR.has((bytes[start] << 16) | (bytes[start + 1] << 8) | bytes[start + 2])
}

/** 16 hexadecimal digits. */
export function shapeId(shape: Buffer): string {
  // Two multiplicative hashes, mixed at the end: quick in plain numbers, good enough that two shapes of one fleet differ.
  let a = 0x9e3779b9 | 0
  let b = 0x85ebca6b | 0
  for (let i = 0; i < shape.length; i++) {
    a = Math.imul(a ^ shape[i], 0x9e3779b1)
    b = Math.imul(b ^ shape[i], 0x5f356495) + 1
  }
  const high = mixed(a ^ Math.imul(b, 0xc2b2ae35))
  const low = mixed(b ^ Math.imul(a, 0x27d4eb2f) ^ shape.length)
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')
}

function mixed(hash: number): number {
  let h = hash ^ (hash >>> 15)
  h = Math.imul(h, 0x2c1b3c6d)
  h ^= h >>> 12
  h = Math.imul(h, 0x297a2d39)
  return (h ^ (h >>> 15)) >>> 0
}

/** Of an event's bytes: what `template:` compares. */
export function shapeIdOf(bytes: Buffer): string {
  return shapeId(shapeOf(bytes))
}

export function isShapeId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text)
}
