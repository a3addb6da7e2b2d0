// The real logs of ../shared/data (see there for where they are from; a clone without them goes on without these checks):
// time, host, application and level of every line, held against rules made by hand for each file, with regular expressions
// and Date, none of the parser's code.
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'tap'
import { LEVELS } from '../../shared/events.ts'
import { LineParser } from './line-parser.ts'

const FOLDER = '../shared/data'
const READ_MS = Date.parse('2025-03-01T12:00:00Z')
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

interface Expected {
  /** What Date understands, UTC. */
  time: string
  level: string
  host: string
  app: string
}

interface FileRules {
  lines: number
  /** Undefined: the rules do not know this line, which is a mistake of the rules. */
  expect(line: string): Expected | undefined
  /** How many lines of each level the file has, counted with grep. */
  levels: Record<string, number>
}

const none = { level: '', host: '', app: '' }
const month = (name: string) => String(MONTHS.indexOf(name) + 1).padStart(2, '0')
const WORDS: Record<string, string> = { WARN: 'warn', INFO: 'info', ERROR: 'error', FATAL: 'fatal', WARNING: 'warn' }

/** The year in which a day was last before the read time, or up to a day after it. */
function withYear(name: string, day: string, clock: string): string {
  const at = (year: number) => `${year}-${month(name)}-${day.padStart(2, '0')}T${clock}Z`
  return Date.parse(at(2025)) <= READ_MS + 86_400_000 ? at(2025) : at(2024)
}

const FILES: Record<string, FileRules> = {
  'Apache.log': {
    lines: 2000,
    levels: { error: 595, notice: 1405 },
    expect(line) {
      const m = /^\[[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d\d) (\d\d:\d\d:\d\d) (\d{4})\] \[(notice|error)\] /.exec(line)
      return m ? { ...none, time: `${m[4]}-${month(m[1])}-${m[2]}T${m[3]}Z`, level: m[5] } : undefined
    },
  },
  'HDFS.log': {
    lines: 2000,
    levels: { info: 1920, warn: 80 },
    expect(line) {
      const m = /^(\d\d)(\d\d)(\d\d) (\d\d)(\d\d)(\d\d) \d+ (INFO|WARN) dfs\./.exec(line)
      return m ? { ...none, time: `20${m[1]}-${m[2]}-${m[3]}T${m[4]}:${m[5]}:${m[6]}Z`, level: WORDS[m[7]] } : undefined
    },
  },
  'Hadoop.log': {
    lines: 2000,
    levels: { error: 150, fatal: 2, info: 1040, warn: 808 },
    expect(line) {
      const m = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d),(\d{3}) (INFO|WARN|ERROR|FATAL) \[/.exec(line)
      return m ? { ...none, time: `${m[1]}T${m[2]}.${m[3]}Z`, level: WORDS[m[4]] } : undefined
    },
  },
  'Linux.log': {
    lines: 2000,
    levels: { '': 1955, alert: 43, warn: 2 },
    expect(line) {
      const m =
        /^([A-Z][a-z]{2}) ( \d|\d\d) (\d\d:\d\d:\d\d) (combo) (?:([\w.-]+)(?:\([\w-]+\))?(?:\[\d+\])?: )?(ALERT |warning: )?/.exec(
          line,
        )
      if (!m) return undefined
      const level = m[6] === 'ALERT ' ? 'alert' : m[6] === 'warning: ' ? 'warn' : ''
      // `combo  -- root[2421]: ROOT LOGIN ON tty2` has a hole where its name belongs.
      return { time: withYear(m[1], m[2].trim(), m[3]), level, host: m[4], app: m[5] ?? '' }
    },
  },
  'OpenSSH.log': {
    lines: 2000,
    levels: { '': 1952, error: 47, fatal: 1 },
    expect(line) {
      const m = /^(Dec) (10) (\d\d:\d\d:\d\d) (LabSZ) (sshd)\[\d+\]: (?:(error|fatal): )?/.exec(line)
      return m ? { time: withYear(m[1], m[2], m[3]), level: m[6] ?? '', host: m[4], app: m[5] } : undefined
    },
  },
  'OpenStack.log': {
    lines: 2000,
    levels: { info: 1969, warn: 31 },
    expect(line) {
      const m =
        /^(nova-(?:api|compute|scheduler))\.log\.1\.\S+ (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3}) \d+ (INFO|WARNING) nova\./.exec(
          line,
        )
      return m ? { time: `${m[2]}T${m[3]}Z`, level: WORDS[m[4]], host: '', app: m[1] } : undefined
    },
  },
  'Spark.log': {
    lines: 2000,
    levels: { info: 2000 },
    expect(line) {
      const m = /^(\d\d)\/(\d\d)\/(\d\d) (\d\d:\d\d:\d\d) (INFO|WARN) /.exec(line)
      return m ? { ...none, time: `20${m[1]}-${m[2]}-${m[3]}T${m[4]}Z`, level: WORDS[m[5]] } : undefined
    },
  },
  'Zookeeper.log': {
    lines: 2000,
    levels: { error: 13, info: 669, warn: 1318 },
    expect(line) {
      const m = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d),(\d{3}) - (INFO|WARN|ERROR) +\[/.exec(line)
      return m ? { ...none, time: `${m[1]}T${m[2]}.${m[3]}Z`, level: WORDS[m[4]] } : undefined
    },
  },
  'apache_access.log': {
    lines: 10_000,
    levels: { '': 10_000 },
    expect(line) {
      const m = /^\S+ \S+ \S+ \[(\d\d)\/(May)\/(2015):(\d\d:\d\d:\d\d) \+0000\] "/.exec(line)
      return m ? { ...none, time: `${m[3]}-${month(m[2])}-${m[1]}T${m[4]}Z` } : undefined
    },
  },
}

for (const [name, rules] of Object.entries(FILES)) {
  test(`${name}: every line tells what the rules made by hand say`, async t => {
    const path = `${FOLDER}/${name}`
    if (!existsSync(path)) return t.comment(`${path} is not here: not checked`)
    const bytes = readFileSync(path)
    const parser = new LineParser()
    const levels: Record<string, number> = {}
    let lines = 0
    let wrong = 0
    for (let start = 0; start < bytes.length; lines++) {
      const end = bytes.indexOf(0x0a, start) + 1 || bytes.length
      const line = bytes.toString('utf8', start, end)
      parser.parse(bytes, start, end, READ_MS)
      start = end
      const expected = rules.expect(line)
      const level = LEVELS[parser.level]
      levels[level] = (levels[level] ?? 0) + 1
      const isRight =
        expected !== undefined &&
        !parser.timeIsGuessed &&
        parser.timeNs === BigInt(Date.parse(expected.time)) * 1_000_000n &&
        level === expected.level &&
        parser.host === expected.host &&
        parser.app === expected.app
      if (isRight || wrong++ > 5) continue
      const { timeNs, timeIsGuessed, host, app } = parser
      t.strictSame({ time: String(timeNs), timeIsGuessed, level, host, app }, expected, line.slice(0, 160))
    }
    t.equal(wrong, 0, 'lines that tell something else')
    t.equal(lines, rules.lines)
    t.strictSame(Object.fromEntries(Object.entries(levels).sort()), rules.levels)
  })
}
