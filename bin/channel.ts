// The channel settings of a process: mode, environment, its keys and its pass.
import type { Settings } from '../config/schema.ts'
import type { ChannelConfig } from '../shared/channel/config.ts'
import type { NodeKeys } from '../shared/keys.ts'
import type { Role } from '../shared/link.ts'
import { type Credentials, readCredentials } from './keyring.ts'
import { foldersOf, keyNameOf } from './settings.ts'

export function credentialsOf(settings: Settings, role: Role): Credentials {
  return readCredentials(foldersOf(settings).keys, keyNameOf(settings, role), role)
}

/** @param keys the node's own; a tailer's are in its data folder and can change while it runs */
export function channelConfig(settings: Settings, role: Role, credentials: Credentials, keys: NodeKeys): ChannelConfig {
  const { pass, environmentKey, revoked } = credentials
  return { mode: settings.channel.mode, environment: settings.environment, role, keys, pass, environmentKey, revoked }
}
