// The settings of a command, from its flags, the environment and the file; and which folders follow from them.
import { join, resolve } from 'node:path'
import { type Loaded, loadSettings, SettingsError } from '../config/load.ts'
import type { Settings } from '../config/schema.ts'
import type { Role } from '../shared/link.ts'
import { CommandError, EXIT } from './fail.ts'

export interface SettingsFlags {
  config?: string
  data?: string
}

/** Throws CommandError (settings) with every mistake on a line of its own. */
export function settingsOf(
  flags: SettingsFlags,
  more: { flags?: Record<string, unknown>; defaults?: Record<string, unknown> } = {},
): Loaded {
  try {
    return loadSettings({
      path: flags.config ?? process.env.BUCKTAIL_CONFIG,
      environment: process.env,
      flags: { data: flags.data, ...more.flags },
      defaults: more.defaults,
    })
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    const [first, ...rest] = error.mistakes.map(mistake => `${mistake.where}: ${mistake.message}`)
    throw new CommandError(EXIT.settings, [first, ...rest].join('\n          '), { cause: error })
  }
}

/** Where each thing lies. All absolute. */
export interface Folders {
  data: string
  keys: string
  tailer: string
  bucks: string[]
  porter: string
  index: string
  archive: string
  histories: string
}

export function foldersOf(settings: Settings): Folders {
  const data = resolve(settings.data)
  return {
    data,
    keys: resolve(settings.channel.keys ?? join(data, 'keys')),
    tailer: join(data, 'tailer'),
    bucks: (settings.buck.folders ?? [join(data, 'buck')]).map(folder => resolve(folder)),
    porter: join(data, 'porter'),
    index: resolve(settings.index.folder ?? join(data, 'index')),
    archive: resolve(settings.archive.folder ?? join(data, 'archive')),
    histories: resolve(settings.history.folder ?? join(data, 'history')),
  }
}

export function keyNameOf(settings: Settings, role: Role): string {
  return settings.channel.name ?? role
}
