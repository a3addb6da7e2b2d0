// For the tests of the channel: an environment with its key, nodes with passes, a world whose randomness is seeded and
// whose clock can be set, and a relay that changes bytes on the way.
import { createHash } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { mintNodeKeys, type SigningKey, signingKeyFromSeed } from '../keys.ts'
import type { Role } from '../link.ts'
import { type PassTerms, signPass } from '../pass.ts'
import type { Random, World } from '../world.ts'
import type { ChannelConfig } from './config.ts'
import type { Mode } from './hello.ts'

export const NOW_MS = Date.parse('2026-05-01T12:00:00Z')

export interface Said {
  level: string
  fact: string
  fields: Record<string, unknown>
}

/** The same bytes for the same seed. */
export function seededRandom(seed: string): Random {
  let count = 0
  const bytes = (length: number) => {
    const blocks: Buffer[] = []
    for (let have = 0; have < length; have += 32)
      blocks.push(createHash('sha256').update(`${seed} ${count++}`).digest())
    return Buffer.concat(blocks).subarray(0, length)
  }
  return { bytes, fraction: () => bytes(4).readUInt32BE() / 2 ** 32 }
}

export function testWorld(seed: string): World & { said: Said[]; clock: { offsetMs: number } } {
  const said: Said[] = []
  const say =
    (level: string) =>
    (fact: string, fields: Record<string, unknown> = {}) =>
      void said.push({ level, fact, fields })
  const clock = {
    offsetMs: 0,
    now: () => NOW_MS + clock.offsetMs,
    monotonic: () => performance.now() + clock.offsetMs,
    sleep: (ms: number, signal?: AbortSignal) => sleep(ms, undefined, { signal }),
  }
  const disk = new Proxy({} as World['disk'], {
    get: () => {
      throw new Error('the channel has no business with the disk')
    },
  })
  return {
    said,
    clock,
    disk,
    random: seededRandom(seed),
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
  }
}

export const environmentKey: SigningKey = signingKeyFromSeed(Buffer.alloc(32, 7))

/** A node with keys of its own and a pass; `terms` makes the pass differ from what it should be. */
export function nodeOf(
  role: Role,
  change: { mode?: Mode; seed?: string; environment?: string; signer?: SigningKey; terms?: Partial<PassTerms> } = {},
): ChannelConfig {
  const environment = change.environment ?? 'test'
  const keys = mintNodeKeys(seededRandom(change.seed ?? role))
  const terms = { environment, role, node: keys.id, notAfterMs: NOW_MS + 86_400_000, ...change.terms }
  return {
    mode: change.mode ?? 'nacl',
    environment,
    role,
    keys,
    pass: signPass(change.signer ?? environmentKey, terms),
    environmentKey: (change.signer ?? environmentKey).publicKey,
  }
}

export type Direction = 'up' | 'down'

/**
 * A relay on a free port to `target`. `change` gets each chunk with its offset in its direction (up: from the dialler), and
 * answers the chunks to send on instead. A connection that ends is ended on the other side too.
 */
export async function startRelay(
  target: string,
  change: (chunk: Buffer, offset: number, direction: Direction) => Buffer[] | 'cut',
): Promise<{ address: string; close(): Promise<void>; sockets: Set<Socket> }> {
  const [host, port] = target.split(':') as [string, string]
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, near => {
    const far = connect({ host, port: Number(port), noDelay: true })
    const pipe = (from: Socket, to: Socket, direction: Direction) => {
      let offset = 0
      sockets.add(from)
      from.on('data', chunk => {
        const changed = change(chunk, offset, direction)
        offset += chunk.length
        if (changed === 'cut') {
          near.destroy()
          far.destroy()
        } else for (const part of changed) if (!to.destroyed) to.write(part)
      })
      from.on('end', () => to.end())
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroySoon()
      })
    }
    pipe(near, far, 'up')
    pipe(far, near, 'down')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address() as { port: number }
  return {
    address: `127.0.0.1:${address.port}`,
    sockets,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
