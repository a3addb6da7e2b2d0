// Time stamps of the real logs: where they lie in a line, which moment they name, how another moment is written there.
export interface Stamp {
  from: number
  to: number
  /** Read as UTC, whatever the zone. */
  timeMs: number
  print(timeMs: number): string
  /** Part of a name: it does not go on in time. */
  isFixed: boolean
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
/** For stamps without a year. */
const YEAR = 2005

interface Format {
  pattern: string
  read(groups: string[]): number
  print(date: Date, found: string): string
  isFixed?: boolean
}

const two = (value: number) => String(value).padStart(2, '0')
const clock = (date: Date) => `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`
const month = (name: string) => MONTHS.indexOf(name)
const utc = (year: string | number, monthIndex: number, day: string, h: string, m: string, s: string, ms = '0') =>
  Date.UTC(
    Number(year),
    monthIndex,
    Number(day),
    Number(h),
    Number(m),
    Number(s),
    Number(ms.padEnd(3, '0').slice(0, 3)),
  )
const M = `(${MONTHS.join('|')})`
const T = '(\\d\\d):(\\d\\d):(\\d\\d)'

const FORMATS: Format[] = [
  { pattern: `\\d{4}-\\d\\d-\\d\\d_\\d\\d:\\d\\d:\\d\\d`, read: () => 0, print: (_, found) => found, isFixed: true },
  {
    pattern: `(\\d{4})-(\\d\\d)-(\\d\\d)[ T]${T}(?:[.,](\\d{3}))?`,
    read: ([year, mo, day, h, m, s, ms]) => utc(year, Number(mo) - 1, day, h, m, s, ms),
    print: (date, found) => {
      const ms = found.length > 19 ? `${found[19]}${String(date.getUTCMilliseconds()).padStart(3, '0')}` : ''
      return `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}${found[10]}${clock(date)}${ms}`
    },
  },
  {
    pattern: `(?:${DAYS.join('|')}) ${M} ([ \\d]\\d) ${T} (\\d{4})`,
    read: ([mo, day, h, m, s, year]) => utc(year, month(mo), day, h, m, s),
    print: (date, found) =>
      `${DAYS[date.getUTCDay()]} ${MONTHS[date.getUTCMonth()]} ${dayLike(date, found[8])} ${clock(date)} ${date.getUTCFullYear()}`,
  },
  {
    pattern: `${M} ([ \\d]\\d) ${T}`,
    read: ([mo, day, h, m, s]) => utc(YEAR, month(mo), day, h, m, s),
    print: date => `${MONTHS[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)} ${clock(date)}`,
  },
  {
    pattern: `(\\d\\d)/${M}/(\\d{4}):${T}`,
    read: ([day, mo, year, h, m, s]) => utc(year, month(mo), day, h, m, s),
    print: date => `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}:${clock(date)}`,
  },
  {
    pattern: `(\\d\\d)/(\\d\\d)/(\\d\\d) ${T}`,
    read: ([year, mo, day, h, m, s]) => utc(2000 + Number(year), Number(mo) - 1, day, h, m, s),
    print: date =>
      `${two(date.getUTCFullYear() % 100)}/${two(date.getUTCMonth() + 1)}/${two(date.getUTCDate())} ${clock(date)}`,
  },
  {
    // Only where a line begins: six digits and six digits may be anything else.
    pattern: '^(\\d\\d)(\\d\\d)(\\d\\d) (\\d\\d)(\\d\\d)(\\d\\d)(?= )',
    read: ([year, mo, day, h, m, s]) => utc(2000 + Number(year), Number(mo) - 1, day, h, m, s),
    print: date =>
      `${two(date.getUTCFullYear() % 100)}${two(date.getUTCMonth() + 1)}${two(date.getUTCDate())} ${clock(date).replaceAll(':', '')}`,
  },
]

/** As the log pads it: with a zero or with a space. */
function dayLike(date: Date, first: string): string {
  return String(date.getUTCDate()).padStart(2, first === ' ' ? ' ' : '0')
}

const ANY = new RegExp(FORMATS.map(({ pattern }, i) => `(?<f${i}>${pattern})`).join('|'), 'g')
const ALONE = FORMATS.map(({ pattern }) => new RegExp(pattern))

export function findStamps(line: string): Stamp[] {
  const stamps: Stamp[] = []
  for (const match of line.matchAll(ANY)) {
    const found = match[0]
    const i = FORMATS.findIndex((_, n) => match.groups?.[`f${n}`] !== undefined)
    // The pattern of HDFS looks at the space behind it.
    const groups = ALONE[i].exec(`${found} `)?.slice(1) ?? []
    const { read, print, isFixed = false } = FORMATS[i]
    const timeMs = read(groups)
    if (Number.isNaN(timeMs)) continue
    stamps.push({
      from: match.index,
      to: match.index + found.length,
      timeMs,
      isFixed,
      print: ms => print(new Date(ms), found),
    })
  }
  return stamps
}
