// The folder of keys that `bucktail keygen` writes and every process reads.
//
//   environment.key   secret: seed of the environment's signing key, hex. Makes passes; keep it off the machines.
//   environment.pub   its public half: every process checks passes with it
//   NAME.key          secret: a node's own keys, "box-secret-hex sign-seed-hex" (a tailer keeps its own in its data folder)
//   NAME.pass         what the node shows: environment, role, node, expiry, signed
//   live.key          secret, of archie and the bucks: signs the tokens of live pages, hex
//   revoked           ids of nodes whose passes count no more, one a line (may be missing)
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { mintNodeKeys, type NodeKeys, nodeKeysFrom, type SigningKey, signingKeyFromSeed } from '../shared/keys.ts'
import type { Role } from '../shared/link.ts'
import { decodePass, encodePass, type Pass, signPass } from '../shared/pass.ts'
import { realRandom } from '../shared/real-world.ts'
import { CommandError, EXIT, reasonOf } from './fail.ts'

const KEY_BYTES = 32
const SECRET_MODE = 0o600
const PUBLIC_MODE = 0o644

export interface NodeToMake {
  name: string
  role: Role
}

export interface Made {
  file: string
  what: string
  isNew: boolean
}

export interface Credentials {
  /** The node's own; a tailer's are in its data folder instead. */
  keys?: NodeKeys
  pass: Pass
  environmentKey: Buffer
  revoked: string[]
  /** Only archie and bucks have it. */
  liveKey?: Buffer
}

/**
 * Makes what is missing: the environment's key, keys and passes of these nodes. What is there stays.
 * @param renew passes are written anew, for the same keys
 */
export function makeKeys(
  folder: string,
  options: { environment: string; nodes: NodeToMake[]; notAfterMs: number; renew: boolean; onlyNode?: string },
): Made[] {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const made: Made[] = []
  const signingKey = environmentKey(folder, made)
  const liveFile = join(folder, 'live.key')
  const isLiveNew = !existsSync(liveFile)
  if (isLiveNew) write(liveFile, `${realRandom.bytes(KEY_BYTES).toString('hex')}\n`, SECRET_MODE)
  made.push({ file: liveFile, what: 'secret of archie and the bucks: lets live pages in', isNew: isLiveNew })
  for (const { name, role } of options.nodes) {
    const passFile = join(folder, `${name}.pass`)
    const node = role === 'tailer' ? (options.onlyNode ?? 'any') : nodeKeys(folder, name, role, made).id
    const isNew = options.renew || !existsSync(passFile)
    if (isNew) {
      const pass = signPass(signingKey, {
        environment: options.environment,
        role,
        node,
        notAfterMs: options.notAfterMs,
      })
      write(passFile, `${encodePass(pass)}\n`, node === 'any' ? SECRET_MODE : PUBLIC_MODE)
    }
    made.push({ file: passFile, what: `pass of ${role} ${node === 'any' ? '(any machine)' : node}`, isNew })
  }
  return made
}

/** Throws CommandError (settings) that says what is missing and how to make it. */
export function readCredentials(folder: string, name: string, role: Role): Credentials {
  const pass = read(join(folder, `${name}.pass`), `the pass of this ${role}`)
  const environment = read(join(folder, 'environment.pub'), 'the public key of the environment')
  const revokedFile = join(folder, 'revoked')
  const revoked = existsSync(revokedFile) ? read(revokedFile, 'the revoked nodes').split(/\s+/).filter(Boolean) : []
  try {
    const credentials: Credentials = { pass: decodePass(pass), environmentKey: fromHex(environment), revoked }
    if (role !== 'tailer')
      credentials.keys = parseNodeKeys(read(join(folder, `${name}.key`), `the keys of this ${role}`))
    if (role === 'archie' || role === 'buck')
      credentials.liveKey = fromHex(read(join(folder, 'live.key'), 'the key of live pages'))
    return credentials
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError(
      EXIT.settings,
      `the keys in ${folder} cannot be used: ${reasonOf(error)}; make new ones with \`bucktail keygen\``,
      { cause: error },
    )
  }
}

function environmentKey(folder: string, made: Made[]): SigningKey {
  const file = join(folder, 'environment.key')
  const isNew = !existsSync(file)
  if (isNew) {
    const seed = realRandom.bytes(KEY_BYTES)
    write(join(folder, 'environment.pub'), `${signingKeyFromSeed(seed).publicKey.toString('hex')}\n`, PUBLIC_MODE)
    // Last: while it is missing, the next run starts over.
    write(file, `${seed.toString('hex')}\n`, SECRET_MODE)
  }
  made.push({ file, what: 'secret key of the environment: signs passes', isNew })
  made.push({ file: join(folder, 'environment.pub'), what: 'its public key: every node needs it', isNew })
  return signingKeyFromSeed(fromHex(read(file, 'the secret key of the environment')))
}

function nodeKeys(folder: string, name: string, role: Role, made: Made[]): NodeKeys {
  const file = join(folder, `${name}.key`)
  const isNew = !existsSync(file)
  if (isNew) {
    const { box, signing } = mintNodeKeys(realRandom)
    write(file, `${box.secretKey.toString('hex')} ${signing.seed.toString('hex')}\n`, SECRET_MODE)
  }
  made.push({ file, what: `secret keys of ${role} ${name}`, isNew })
  return parseNodeKeys(read(file, `the keys of ${name}`))
}

function parseNodeKeys(text: string): NodeKeys {
  const [box, signing] = text.trim().split(' ')
  return nodeKeysFrom(fromHex(box), fromHex(signing ?? ''))
}

function fromHex(text: string): Buffer {
  const bytes = Buffer.from(text.trim(), 'hex')
  if (bytes.length !== KEY_BYTES || text.trim().length !== 2 * KEY_BYTES) throw new Error('a key is not 64 hex digits')
  return bytes
}

function read(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new CommandError(
      EXIT.settings,
      `cannot read ${file}, ${what}: ${reasonOf(error)}; \`bucktail keygen\` makes it, channel.keys says where it is`,
      { cause: error },
    )
  }
}

/** Whole or not at all, and on the disk: a half written key would lock its owner out. */
function write(file: string, text: string, mode: number): void {
  const handle = openSync(`${file}.new`, 'w', mode)
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(`${file}.new`, file)
}
