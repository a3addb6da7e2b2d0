// What the settings say of a source's lines: how they make records, what is hidden in them, which names its path tells.
import picomatch from 'picomatch'
import { RE2JS } from 're2js'
import { containerOf } from '../shared/labels.ts'
import { compilePattern } from '../shared/query/pattern.ts'
import { Dropper } from './drop/dropper.ts'
import { Filter, type FilterSettings } from './drop/filter.ts'
import type { Quota } from './drop/quotas.ts'
import { type LineRule, Records } from './multiline/records.ts'
import { wrapperOf } from './multiline/wrapper.ts'
import { Allowance, type RateLimit } from './rate-limit.ts'
import { Redactor } from './redact/redactor.ts'
import { type NamedRule, namedRule, patternRule } from './redact/rules.ts'
import { isGenerationOf } from './rotation.ts'

/** As the settings have it. */
export type MultilineSetting = 'traces' | 'none' | 'time' | 'indented' | { start: string } | { continue: string }
export type RedactSetting = NamedRule | { name: string; pattern: string }

/** The part of a rule for files that is about their lines. */
export interface LineSettings extends FilterSettings {
  path: string
  zone?: string
  host?: string
  app?: string
  /** Default: traces. */
  multiline?: MultilineSetting
  redact?: readonly RedactSetting[]
  /** Of each of its files; default: none. */
  rateLimit?: RateLimit
  /** Of all of its generations; default: none. */
  quota?: Quota
  /** A pattern over the path with groups named `host` and `app`. */
  names?: string
}

export interface LineWay {
  records: Records
  redactor: Redactor | undefined
  /** Undefined: nothing that is read is dropped. */
  dropper: Dropper | undefined
}

/** The rule that a path is tailed by: the first that names it, or an exact path that it is a rotated generation of. */
export function ruleOf<Rule extends { path: string }>(rules: readonly Rule[], path: string): Rule | undefined {
  return rules.find(rule => rule.path === path || isGenerationOf(path, rule.path) || matcherOf(rule.path)(path))
}

const matchers = new Map<string, (path: string) => boolean>()

function matcherOf(glob: string): (path: string) => boolean {
  let matches = matchers.get(glob)
  if (matches === undefined) {
    matches = picomatch(glob, { dot: false })
    matchers.set(glob, matches)
  }
  return matches
}

const redactors = new WeakMap<LineSettings, Redactor>()

/** One redactor per rule: it counts for all files of the rule. */
export function redactorOf(rule: LineSettings | undefined): Redactor | undefined {
  if (rule?.redact === undefined || rule.redact.length === 0) return undefined
  let redactor = redactors.get(rule)
  if (redactor === undefined) {
    redactor = new Redactor(
      rule.redact.map(one => (typeof one === 'string' ? namedRule(one) : patternRule(one.name, one.pattern))),
    )
    redactors.set(rule, redactor)
  }
  return redactor
}

/** Places hidden since the start, by the names of rules. */
export function redactedBy(rules: readonly LineSettings[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const rule of rules) {
    for (const [name, count] of redactorOf(rule)?.counts ?? []) sums[name] = (sums[name] ?? 0) + count
  }
  return sums
}

/** @throws UnknownZoneError, PatternError: settings are checked before (config/schema.ts) */
export function lineWayOf(rule: LineSettings | undefined, path: string): LineWay {
  return {
    records: new Records(lineRule(rule?.multiline ?? 'traces'), wrapperOf(path), rule?.zone),
    redactor: redactorOf(rule),
    dropper: dropperOf(rule),
  }
}

/** One per source: it knows what became of the record last begun. */
function dropperOf(rule: LineSettings | undefined): Dropper | undefined {
  if (rule === undefined) return undefined
  const { keep, drop, rateLimit, quota } = rule
  const filter = keep?.length || drop?.length ? new Filter({ keep, drop }) : undefined
  const limits = rateLimit?.over === 'discard' ? [new Allowance(rateLimit)] : []
  // Quotas outlive a source: tailer/drop/quotas.ts adds its own.
  const isDropping = filter !== undefined || limits.length > 0 || quota?.over === 'discard'
  return isDropping ? new Dropper(filter, limits) : undefined
}

/** @throws UnknownZoneError, PatternError, an error of RE2: the rule cannot be used */
export function checkRule(rule: LineSettings): void {
  lineWayOf(rule, rule.path)
  namesOf(rule, rule.path)
}

function lineRule(setting: MultilineSetting): LineRule {
  if (setting === 'none') return { kind: 'lines' }
  if (typeof setting === 'string') return { kind: setting }
  const [kind, source] =
    'start' in setting ? (['start', setting.start] as const) : (['continue', setting.continue] as const)
  const pattern = compilePattern(source, false)
  return { kind, isIn: line => pattern.isIn(line) }
}

/** Host and application of lines that name none: the rule's, else its pattern's, else those of a container's path. */
export function namesOf(rule: LineSettings, path: string): { host?: string; app?: string } {
  let host: string | null | undefined
  let app: string | null | undefined
  if (rule.names !== undefined) {
    const pattern = RE2JS.compile(rule.names)
    const groups = pattern.namedGroups()
    const matcher = pattern.matcher(path)
    if (matcher.find()) {
      if ('host' in groups) host = matcher.group('host')
      if ('app' in groups) app = matcher.group('app')
    }
  }
  return { host: rule.host ?? (host || undefined), app: rule.app ?? (app || containerOf(path)) }
}
