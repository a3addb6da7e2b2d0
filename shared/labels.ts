// Labels of an event: the keys and values that its text spells out (JSON, key=value, structured data of syslog, fields of
// the journal), and what the path of a container's log says. They are stored nowhere: whoever shows or indexes an event
// derives them from its bytes, always the same ones (docs/line-formats.md, "Labels").
import { withoutLineEnd } from './events.ts'
import { flattenJson } from './labels-json.ts'

export type Labels = Record<string, string | string[]>

/** What comes after is left out: a line of a thousand keys must not blow up an index. */
export const LABELS_MAX = 128
export const LABEL_KEY_CHARS_MAX = 256
/** A longer value is left out; it is in the text of the line. */
export const LABEL_VALUE_CHARS_MAX = 1024

/** The message itself, under the names that log writers give it: it is the text of the event already. */
const MESSAGE_KEYS = new Set(['message', 'msg', 'log', '@m', '@mt', 'MESSAGE', 'short_message', 'full_message'])

/**
 * Never throws, whatever the bytes are.
 * @param path  of the log file: container runtimes put names into it
 */
export function labelsOf(bytes: Buffer, path = ''): Labels {
  const found = new Map<string, string | string[]>()
  const add = (key: string, value: string | string[]): void => {
    if (found.size >= LABELS_MAX || key === '' || key.length > LABEL_KEY_CHARS_MAX || MESSAGE_KEYS.has(key)) return
    if (value.length === 0 || found.has(key)) return
    if (typeof value === 'string' && value.length > LABEL_VALUE_CHARS_MAX) return
    found.set(key, value)
  }
  addPathLabels(path, add)
  const text = withoutLineEnd(bytes).toString('utf8')
  if (text.startsWith('__CURSOR=') || text.startsWith('__REALTIME_TIMESTAMP=')) addJournalFields(text, add)
  else addLineLabels(firstLine(text), add)
  // From entries: a key __proto__ is a key like any other.
  return Object.fromEntries(found)
}

const EQUALS = 0x3d
const BRACE = 0x7b
const SPACE = 0x20

/**
 * False: the text of the line has no labels (its path may have). Much cheaper than to look for them.
 * @param to  before the line end
 */
export function mayHaveLabels(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] === EQUALS || bytes[i] === BRACE) return true
  // Without either, only the stream of a container's line: `…T… stdout F …`.
  let space = from
  while (space < to && bytes[space] !== SPACE) space++
  return bytes[space + 1] === 0x73 && bytes[space + 2] === 0x74 && bytes[space + 3] === 0x64
}

type Add = (key: string, value: string | string[]) => void

const CRI = /^\S+T\S+ (stdout|stderr) [FP] /

function addLineLabels(line: string, add: Add): void {
  // Looked at first: most lines are none, and to find that out by the pattern alone is dear.
  const cri = line.startsWith('std', line.indexOf(' ') + 1) ? CRI.exec(line) : null
  if (cri !== null) {
    add('stream', cri[1])
    addTextLabels(line.slice(cri[0].length), add)
    return
  }
  if (!line.startsWith('{')) {
    addTextLabels(line, add)
    return
  }
  // Docker's json-file: the labels of what the container wrote are those of the line.
  let wrote: string | undefined
  let hasStream = false
  flattenJson(line, 0, (key, value) => {
    if (key === 'log' && typeof value === 'string') wrote = value
    if (key === 'stream') hasStream = true
    add(key, value)
  })
  if (wrote !== undefined && hasStream) addTextLabels(firstLine(wrote), add)
}

function addTextLabels(text: string, add: Add): void {
  if (text.startsWith('{')) {
    flattenJson(text, 0, add)
    return
  }
  const from = addStructuredData(text, add)
  // `… INFO server started {"port": 80}` (zap and others): an object that ends the line.
  const at = text.endsWith('}') ? text.indexOf('{"') : -1
  if (at > 0) {
    const pairs: [string, string | string[]][] = []
    const end = flattenJson(text, at, (key, value) => pairs.push([key, value]))
    if (end === text.length) for (const [key, value] of pairs) add(key, value)
  }
  addPairs(at > 0 ? text.slice(from, at) : text.slice(from), add)
}

const KEY = /^[A-Za-z_@][\w.@/-]*=/

/** Words that are `key=value` or `key="two words"`, wherever they stand in the line. */
function addPairs(text: string, add: Add): void {
  if (!text.includes('=')) return
  for (let at = 0; at < text.length; ) {
    const isSpace = text[at] === ' ' || text[at] === '\t'
    if (isSpace) {
      at++
      continue
    }
    const end = wordEnd(text, at)
    const key = KEY.exec(text.slice(at, Math.min(end, at + LABEL_KEY_CHARS_MAX + 1)))?.[0]
    if (key === undefined) {
      at = end
      continue
    }
    const valueAt = at + key.length
    if (text[valueAt] === '"') {
      const close = closingQuote(text, valueAt + 1)
      add(key.slice(0, -1), unquoted(text.slice(valueAt, close + 1)))
      at = close + 1
    } else {
      add(key.slice(0, -1), text.slice(valueAt, end).replace(/[,;]$/, ''))
      at = end
    }
  }
}

/** `<165>1 … [id@1 key="value" …]` of RFC 5424: id@1.key. @returns where the text behind it begins, 0 if there is none */
function addStructuredData(text: string, add: Add): number {
  const header = /^<\d{1,3}>1 (?:\S+ ){5}(?=\[)/.exec(text)
  if (header === null) return 0
  let at = header[0].length
  while (text[at] === '[') {
    const id = /^\[([^ \]="]{1,128})/.exec(text.slice(at, at + 130))?.[1]
    if (id === undefined) return at
    at += 1 + id.length
    while (text[at] === ' ') {
      const name = /^ ([^ \]="]{1,128})="/.exec(text.slice(at, at + 132))?.[1]
      if (name === undefined) return at
      const valueAt = at + name.length + 3
      const close = closingQuote(text, valueAt)
      add(`${id}.${name}`, text.slice(valueAt, close).replace(/\\(["\\\]])/g, '$1'))
      at = close + 1
    }
    if (text[at] !== ']') return at
    at++
  }
  return at
}

/** `NAME=value`, one a line. Those that the event tells in other ways, and cursors, are left out. */
function addJournalFields(text: string, add: Add): void {
  for (const line of text.split('\n', 4 * LABELS_MAX)) {
    const equals = line.indexOf('=')
    if (equals > 0 && /^[A-Z_][A-Z0-9_]*$/.test(line.slice(0, equals)) && !line.startsWith('__')) {
      add(line.slice(0, equals), line.slice(equals + 1))
    }
  }
}

/** Folders of Kubernetes and of Docker. */
const POD_LOG = /\/pods\/([^/_]+)_([^/_]+)_([^/_]+)\/([^/]+)\/[^/]*$/
const CONTAINER_LOG = /\/containers\/([^/_]+)_([^/_]+)_([^/_]+)-([0-9a-f]{64})\.log/
const DOCKER_LOG = /\/containers\/([0-9a-f]{64})\/\1-json\.log/

function addPathLabels(path: string, add: Add): void {
  if (!path.includes('/pods/') && !path.includes('/containers/')) return
  const pod = POD_LOG.exec(path)
  if (pod !== null) {
    add('kubernetes.namespace', pod[1])
    add('kubernetes.pod', pod[2])
    add('kubernetes.pod_uid', pod[3])
    add('kubernetes.container', pod[4])
    return
  }
  const container = CONTAINER_LOG.exec(path)
  if (container !== null) {
    add('kubernetes.pod', container[1])
    add('kubernetes.namespace', container[2])
    add('kubernetes.container', container[3])
    add('container.id', container[4])
    return
  }
  const docker = DOCKER_LOG.exec(path)
  if (docker !== null) add('container.id', docker[1])
}

/** The application of lines that name none, where the path of a container's log says it. */
export function containerOf(path: string): string | undefined {
  return POD_LOG.exec(path)?.[4] ?? CONTAINER_LOG.exec(path)?.[3]
}

function firstLine(text: string): string {
  const end = text.indexOf('\n')
  return end < 0 ? text : text.slice(0, text[end - 1] === '\r' ? end - 1 : end)
}

function wordEnd(text: string, at: number): number {
  let end = at
  while (end < text.length && text[end] !== ' ' && text[end] !== '\t') end++
  return end
}

/** Of the quote that ends a text begun before `at`; the end of the line if none does. */
function closingQuote(text: string, at: number): number {
  for (let next = at; next < text.length; next++) {
    if (text[next] === '"') return next
    if (text[next] === '\\') next++
  }
  return text.length
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string
  } catch {
    // Not quite what JSON quotes (a tab, an unknown escape): as it stands.
    return text.endsWith('"') && text.length > 1 ? text.slice(1, -1) : text.slice(1)
  }
}
