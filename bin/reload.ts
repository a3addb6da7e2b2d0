// SIGHUP: the settings are read again. What the role can follow while it runs it follows; of the rest the log says that it
// needs a restart. Settings with mistakes change nothing, and every mistake is in the log with its place.
import { closeSync, openSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { settingKeys } from '../config/keys.ts'
import { type Mistake, SettingsError } from '../config/load.ts'
import type { Settings } from '../config/schema.ts'
import { ROLES, type Role } from '../shared/link.ts'
import type { World } from '../shared/world.ts'
import type { RunningRole } from './roles/role.ts'

/**
 * @param running   how it runs
 * @param settings  what it runs by
 * @param read      the settings as they are now; throws with a SettingsError as its cause
 * @returns what it runs by from now on
 */
export function reload(
  { role, running, log }: { role: Role; running: Pick<RunningRole, 'follow'>; log: World['log'] },
  settings: Settings,
  read: () => { settings: Settings; warnings: Mistake[] },
): Settings {
  try {
    const { settings: next, warnings } = read()
    for (const { where, message } of warnings) log.warn('setting not used', { where, message })
    const changed = changedKeys(settings, next).filter(
      ([section]) => section === role || !ROLES.some(other => other === section),
    )
    const followed = running.follow?.(next) ?? []
    const name = (path: string[]) => path.join('.')
    const taken = changed.filter(path => followed.includes(name(path)))
    const left = changed.filter(path => !followed.includes(name(path)))
    log.info('settings read again', { changed: taken.map(name).join(', ') || 'nothing' })
    if (left.length > 0) log.warn('needs a restart: followed as before', { settings: left.map(name).join(', ') })
    return taken.reduce((into, path) => withKey(into, next, path), settings)
  } catch (error) {
    const mistakes = mistakesOf(error)
    if (mistakes.length === 0) log.error('settings cannot be followed: the old ones stay', { error })
    for (const { where, message } of mistakes)
      log.error('settings have a mistake: the old ones stay', { where, message })
    return settings
  }
}

function changedKeys(before: Settings, now: Settings): string[][] {
  return settingKeys()
    .map(key => key.path)
    .filter(path => !isDeepStrictEqual(settingAt(before, path), settingAt(now, path)))
}

function settingAt(settings: unknown, path: string[]): unknown {
  return path.reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], settings)
}

function withKey(into: Settings, from: Settings, [section, key]: string[]): Settings {
  const name = section as keyof Settings
  if (key === undefined) return { ...into, [name]: from[name] }
  return { ...into, [name]: { ...(into[name] as object), [key]: settingAt(from, [section, key]) } }
}

function mistakesOf(error: unknown): readonly Mistake[] {
  const { cause } = error as Error
  return cause instanceof SettingsError ? cause.mistakes : []
}

/** A closed terminal sends SIGHUP too, to what was started in it: then there is none any more. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r+'))
    return true
  } catch {
    return false
  }
}
