// Reads the settings: file, then environment over it, then flags over that; every mistake with its place and a hint.
import { readFileSync, statSync } from 'node:fs'
import { type Document, isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { nearestName, settingKeys, settingSections } from './keys.ts'
import { FileEntry, Settings, type SettingsInput } from './schema.ts'

/** A settings file is a page of text; a log file named by mistake is not read into memory. */
export const SETTINGS_BYTES_MAX = 1024 * 1024
/** Uses of `*alias` in a file, all their copies counted. */
const ALIASES_MAX = 100
/** Mistakes shown at once. */
const MISTAKES_MAX = 20

export interface Mistake {
  /** "bucktail.yaml:3:5", "BUCKTAIL_TAILER_FROM", "--port" */
  where: string
  message: string
}

/** The settings cannot be used; `mistakes` says what to change. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  readonly mistakes: Mistake[]
  constructor(mistakes: Mistake[]) {
    super(mistakes.map(mistake => `${mistake.where}: ${mistake.message}`).join('\n'))
    this.mistakes = mistakes
  }
}

export interface Loaded {
  settings: Settings
  /** Not fatal, but most likely not meant. */
  warnings: Mistake[]
  /** Where they came from, for the first line of a log. */
  from: string
  /** The same as written: to be changed here and there and handed to a child process. */
  tree: SettingsInput
}

type Tree = Record<string, unknown>

/**
 * @param flags by path: { 'tailer.files': ['a.log'] }; undefined values are passed over
 * @param defaults by path, where a command has its own
 * @throws SettingsError
 */
export function loadSettings(input: {
  path?: string
  environment: NodeJS.ProcessEnv
  flags?: Record<string, unknown>
  defaults?: Record<string, unknown>
}): Loaded {
  const file = input.path === undefined ? undefined : readSettingsFile(input.path)
  const tree: Tree = file?.tree ?? {}
  for (const [path, value] of Object.entries(input.defaults ?? {})) {
    if (get(tree, path.split('.')) === undefined) set(tree, path.split('.'), value)
  }
  const places = new Map<string, string>()
  const warnings = applyEnvironment(tree, input.environment, places)
  for (const [path, value] of Object.entries(input.flags ?? {})) {
    if (value === undefined) continue
    set(tree, path.split('.'), value)
    places.set(path, `--${path.split('.').at(-1)?.replaceAll('_', '-')}`)
  }

  // Once in the life of a process: to compile code for it, as zod does, takes longer than the parsing.
  const parsed = Settings.safeParse(tree, { jitless: true })
  if (!parsed.success) {
    const mistakes = parsed.error.issues.flatMap(innermost).flatMap(issue => mistakesOf(issue, file, places))
    mistakes.sort((a, b) => a.where.localeCompare(b.where, 'en', { numeric: true }))
    throw new SettingsError(mistakes.slice(0, MISTAKES_MAX))
  }
  return { settings: parsed.data, warnings, from: input.path ?? 'defaults', tree: tree as SettingsInput }
}

interface SettingsFile {
  path: string
  document: Document
  lines: LineCounter
  tree: Tree
}

function readSettingsFile(path: string): SettingsFile {
  const fail = (message: string): never => {
    throw new SettingsError([{ where: path, message }])
  }
  let text = ''
  try {
    const stat = statSync(path)
    if (stat.isDirectory()) fail('is a folder; name the settings file in it')
    if (stat.size > SETTINGS_BYTES_MAX)
      fail(`has ${stat.size} bytes; a settings file has at most ${SETTINGS_BYTES_MAX}`)
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof SettingsError) throw error
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') fail('does not exist; `--config FILE` or BUCKTAIL_CONFIG names the settings file')
    if (code === 'EACCES') fail('permission denied; make it readable for this user')
    throw error
  }
  if (text.includes('\0')) fail('is not a text file; settings are YAML')
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    throw new SettingsError(
      document.errors.slice(0, MISTAKES_MAX).map(error => {
        const at = lines.linePos(error.pos[0])
        return { where: `${path}:${at.line}:${at.col}`, message: error.message }
      }),
    )
  }
  let tree: unknown
  try {
    tree = document.toJS({ maxAliasCount: ALIASES_MAX })
  } catch (error) {
    // An alias of nothing, or a handful of lines that unfold to gigabytes.
    fail((error as Error).message)
  }
  if (tree === null || tree === undefined) return { path, document, lines, tree: {} }
  if (typeof tree !== 'object' || Array.isArray(tree)) fail('does not hold `key: value` lines at its top')
  return { path, document, lines, tree: tree as Tree }
}

function applyEnvironment(tree: Tree, environment: NodeJS.ProcessEnv, places: Map<string, string>): Mistake[] {
  const warnings: Mistake[] = []
  const given = Object.entries(environment).filter(
    ([variable]) => variable.startsWith('BUCKTAIL_') && !OTHER_VARIABLES.has(variable),
  )
  // To find all keys in the schema takes a while.
  if (given.length === 0) return warnings
  const keys = new Map(settingKeys().map(key => [key.variable, key]))
  for (const [variable, value] of given) {
    if (value === undefined) continue
    const key = keys.get(variable)
    if (key === undefined) {
      const near = nearestName(variable, [...keys.keys()])
      const hint = near === undefined ? '' : `; did you mean ${near}?`
      warnings.push({ where: variable, message: `no setting has this name, it is ignored${hint}` })
      continue
    }
    const typed = key.isList
      ? value
          .split(',')
          .map(item => item.trim())
          .filter(item => item !== '')
      : key.isBoolean && (value === 'true' || value === 'false')
        ? value === 'true'
        : value
    set(tree, key.path, typed)
    places.set(key.path.join('.'), variable)
  }
  return warnings
}

/** Not settings, but ours: where the settings are, whether to show stacks, replayed seeds and lengths of tests. */
const OTHER_VARIABLES = new Set([
  'BUCKTAIL_CONFIG',
  'BUCKTAIL_DEBUG',
  'BUCKTAIL_SEED',
  'BUCKTAIL_TEST_SECONDS',
  'BUCKTAIL_ARCHIE',
])

function get(tree: Tree, path: string[]): unknown {
  let at: unknown = tree
  for (const name of path) at = typeof at === 'object' && at !== null ? (at as Tree)[name] : undefined
  return at
}

function set(tree: Tree, path: string[], value: unknown): void {
  let at = tree
  for (const name of path.slice(0, -1)) {
    if (typeof at[name] !== 'object' || at[name] === null) at[name] = {}
    at = at[name] as Tree
  }
  at[path.at(-1)!] = value
}

interface Issue {
  code: string
  path: PropertyKey[]
  message: string
  keys?: string[]
  /** Of a union: what each form found wrong. */
  errors?: Issue[][]
}

/** Of a value that may have several forms, what is wrong within the form that fits best: that it is none of them helps nobody. */
function innermost(issue: Issue): Issue[] {
  const depth = (issues: Issue[]) => Math.max(0, ...issues.map(({ path, keys }) => path.length + (keys ? 1 : 0)))
  const best = issue.errors?.reduce((a, b) => (depth(b) > depth(a) ? b : a), [])
  if (best === undefined || depth(best) === 0) return [issue]
  return best.flatMap(inner => innermost({ ...inner, path: [...issue.path, ...inner.path] }))
}

function mistakesOf(issue: Issue, file: SettingsFile | undefined, places: Map<string, string>): Mistake[] {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') {
    const known = path.length === 0 ? topNames() : path.length === 1 ? sectionNames(path[0]) : entryNames(path)
    return (issue.keys ?? []).map(key => {
      const near = nearestName(key, known) ?? elsewhere(key)
      const list = known.length === 0 ? '' : `; known here: ${known.join(', ')}`
      const hint = near === undefined ? list : `; did you mean \`${near}\`?`
      return { where: placeOf([...path, key], file, places), message: `\`${key}\` is not a setting${hint}` }
    })
  }
  return [{ where: placeOf(path, file, places), message: `${path.slice(0, 2).join('.')}: ${issue.message}` }]
}

function topNames(): string[] {
  return settingSections().flatMap(section =>
    section.name === '' ? section.keys.map(key => key.path[0]) : section.name,
  )
}

function sectionNames(section: string): string[] {
  const found = settingSections().find(other => other.name === section)
  return found?.keys.map(key => key.path[1]) ?? []
}

/** Of an entry in a list. */
function entryNames(path: string[]): string[] {
  return path[1] === 'files' && path.length === 3 ? Object.keys(FileEntry.shape) : []
}

/** A key in the wrong section. */
function elsewhere(name: string): string | undefined {
  return settingKeys()
    .find(key => key.path.at(-1) === name)
    ?.path.join('.')
}

function placeOf(path: string[], file: SettingsFile | undefined, places: Map<string, string>): string {
  const given = places.get(path.slice(0, 2).join('.')) ?? places.get(path[0])
  if (given !== undefined) return given
  if (file === undefined) return path.join('.')
  // The key itself, not its value: for a missing one, the nearest that is there.
  for (let depth = path.length; depth > 0; depth--) {
    const parent = depth === 1 ? file.document.contents : file.document.getIn(path.slice(0, depth - 1), true)
    let offset: number | undefined
    if (isMap(parent)) {
      const pair = parent.items.find(item => isScalar(item.key) && String(item.key.value) === path[depth - 1])
      if (pair && isScalar(pair.key)) offset = pair.key.range?.[0]
    } else {
      const node = file.document.getIn(path.slice(0, depth), true)
      if (isScalar(node)) offset = node.range?.[0]
    }
    if (offset !== undefined) {
      const at = file.lines.linePos(offset)
      return `${file.path}:${at.line}:${at.col}`
    }
  }
  return file.path
}
