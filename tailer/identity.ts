// Who this tailer is: its keys, stored beside the identity of the machine they were minted on. A copied or moved folder
// finds itself on another machine and mints new keys; what the old id had not delivered is then sent by its heir.
import { join } from 'node:path'
import { mintNodeKeys, type NodeKeys, nodeKeysFrom } from '../shared/keys.ts'
import type { Disk, Random } from '../shared/world.ts'

const FILE = 'identity.json'

export interface Machine {
  /** The same over reboots, another one for a clone: /etc/machine-id and what the platform adds. */
  identity: string
  /** Another one after each boot of the machine. */
  boot: string
}

export interface Identity {
  keys: NodeKeys
  /** The id that this folder had before: its undelivered packets are in the journal under it. */
  formerIds: string[]
  /** Nothing was here: the bucks are asked what was last known of this machine. */
  isFresh: boolean
}

interface Stored {
  version: 1
  machine: string
  boxSecret: string
  signSeed: string
  formerIds: string[]
}

/** The identity file cannot be read. Moving the folder away starts a new identity; its undelivered packets stay in it. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError'
}

/**
 * Loads or mints, and stores what changed before it resolves.
 * @param mintAnew a buck said that another tailer lives under this id
 */
export async function loadIdentity(
  disk: Disk,
  folder: string,
  machine: Machine,
  random: Random,
  mintAnew = false,
): Promise<Identity> {
  const path = join(folder, FILE)
  const stored = await read(disk, path)
  const isSameMachine = stored !== undefined && stored.machine === machine.identity && !mintAnew
  const keys = isSameMachine
    ? nodeKeysFrom(Buffer.from(stored.boxSecret, 'hex'), Buffer.from(stored.signSeed, 'hex'))
    : mintNodeKeys(random)
  const formerIds = stored?.formerIds ?? []
  if (stored !== undefined && !isSameMachine) {
    formerIds.push(nodeKeysFrom(Buffer.from(stored.boxSecret, 'hex'), Buffer.from(stored.signSeed, 'hex')).id)
  }
  if (!isSameMachine) {
    const next: Stored = {
      version: 1,
      machine: machine.identity,
      boxSecret: keys.box.secretKey.toString('hex'),
      signSeed: keys.signing.seed.toString('hex'),
      formerIds,
    }
    await disk.replaceFile(path, Buffer.from(`${JSON.stringify(next)}\n`), true)
  }
  return { keys, formerIds, isFresh: stored === undefined }
}

async function read(disk: Disk, path: string): Promise<Stored | undefined> {
  if ((await disk.stat(path)) === undefined) return undefined
  const content = await disk.readFile(path)
  try {
    const stored = JSON.parse(content.toString('utf8')) as Stored
    if (stored.version !== 1) throw new Error(`version ${stored.version} is not known to this program`)
    if (stored.boxSecret.length !== 64 || stored.signSeed.length !== 64) throw new Error('keys of a wrong length')
    return stored
  } catch (cause) {
    throw new IdentityError(
      `${path} cannot be used: ${(cause as Error).message}. Restore it, or move the folder away.`,
      { cause },
    )
  }
}
