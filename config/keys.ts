// Every key of the settings, found in the schema itself: for environment variables, hints and the reference page.
import * as z from 'zod'
import { Settings } from './schema.ts'

export interface SettingKey {
  /** ['tailer', 'disk_limit'] */
  path: string[]
  /** BUCKTAIL_TAILER_DISK_LIMIT */
  variable: string
  kind: string
  isList: boolean
  isBoolean: boolean
  default: unknown
  description: string
}

export interface SettingSection {
  name: string
  description: string
  keys: SettingKey[]
}

interface JsonSchema {
  type?: string
  kind?: string
  enum?: string[]
  default?: unknown
  description?: string
  items?: JsonSchema
  properties?: Record<string, JsonSchema>
}

/** Top-level keys first (section ''), then one section after the other, in the order of the schema. */
export function settingSections(): SettingSection[] {
  const root = z.toJSONSchema(Settings, { io: 'input', unrepresentable: 'any' }) as JsonSchema
  const top: SettingSection = { name: '', description: '', keys: [] }
  const sections = [top]
  for (const [name, schema] of Object.entries(root.properties ?? {})) {
    if (schema.properties === undefined) {
      top.keys.push(keyOf([name], schema))
      continue
    }
    const keys = Object.entries(schema.properties).map(([key, inner]) => keyOf([name, key], inner))
    sections.push({ name, description: schema.description ?? '', keys })
  }
  return sections
}

export function settingKeys(): SettingKey[] {
  return settingSections().flatMap(section => section.keys)
}

function keyOf(path: string[], schema: JsonSchema): SettingKey {
  const isList = schema.type === 'array'
  return {
    path,
    variable: `BUCKTAIL_${path.join('_').toUpperCase()}`,
    kind: isList ? `list of ${plural(kindOf(schema.items ?? {}))}` : kindOf(schema),
    isList,
    isBoolean: schema.type === 'boolean',
    default: schema.default,
    description: schema.description ?? '',
  }
}

function kindOf(schema: JsonSchema): string {
  if (schema.kind !== undefined) return schema.kind
  if (schema.enum !== undefined) return schema.enum.join(' or ')
  if (schema.type === 'boolean') return 'true or false'
  return schema.type === 'string' ? 'text' : (schema.type ?? 'text')
}

function plural(kind: string): string {
  return kind.endsWith('s') ? `${kind}es` : `${kind}s`
}

/** The name nearest to a mistyped one, if it is near: at most a third of its letters differ. */
export function nearestName(name: string, names: string[]): string | undefined {
  let best: string | undefined
  let least = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const other of names) {
    const distance = editDistance(name.toLowerCase(), other.toLowerCase())
    if (distance < least) {
      least = distance
      best = other
    }
  }
  return best
}

/** Insertions, removals, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(replaced, last[j] + 1, row[j - 1] + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j], beforeLast[j - 2] + 1)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]
}
