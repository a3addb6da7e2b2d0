// The command as a user runs it: a process with its own folder, its streams and its exit code.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freeFleetPort } from './ports.test-support.ts'

const ENTRY = fileURLToPath(new URL('../bin/bucktail.ts', import.meta.url))
/** What one command may print into memory; more is the fault of the test. */
const OUTPUT_BYTES_MAX = 512 * 1024 * 1024

export interface Ended {
  code: number | null
  stdout: Buffer
  stderr: string
}

export interface RunOptions {
  cwd?: string
  env?: Record<string, string>
  /** The entry to run instead of the repository's. */
  entry?: string
  /** 'pipe': the test writes its standard input. */
  stdin?: 'ignore' | 'pipe'
}

export function start(args: string[], options: RunOptions = {}): ChildProcess {
  // Settings of whoever runs the tests must not reach the command; the test runner's hooks need not, and its cache has a
  // relative path.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(BUCKTAIL_|NODE_OPTIONS|NODE_COMPILE_CACHE|TAP|_TAP)/.test(name)),
  )
  return spawn(process.execPath, [options.entry ?? ENTRY, ...args], {
    cwd: options.cwd,
    env: { ...env, ...options.env },
    stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
  })
}

export async function run(args: string[], options: RunOptions = {}): Promise<Ended> {
  return ended(start(args, options))
}

export async function ended(child: ChildProcess): Promise<Ended> {
  const parts: Buffer[] = []
  let bytes = 0
  let stderr = ''
  child.stdout!.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes > OUTPUT_BYTES_MAX) child.kill('SIGKILL')
    else parts.push(part)
  })
  child.stderr!.on('data', part => {
    stderr += part
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout: Buffer.concat(parts), stderr }
}

/** Of a role of `up`: 'buck0', 'tailer'. */
export function pidOf(data: string, role: string): number {
  return Number(readFileSync(join(data, 'run', `${role}.pid`), 'utf8'))
}

export interface RunningUp {
  url: string
  child: ChildProcess
  end: Promise<Ended>
  /** Ctrl-C; resolves when it is gone. */
  stop(): Promise<Ended>
}

/** Resolves when it prints that it is up. */
export async function startUp(
  t: { teardown(work: () => unknown): void },
  args: string[],
  options: RunOptions = {},
): Promise<RunningUp> {
  const port = await freeFleetPort()
  const child = start(['up', '--port', String(port), ...args], options)
  t.teardown(async () => {
    // In good order, so that nobody writes into a folder that is being removed.
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGINT')
      await once(child, 'close')
    }
  })
  const end = ended(child)
  const isUp = new Promise<void>((resolve, reject) => {
    child.stdout!.on('data', part => String(part).includes('live page') && resolve())
    void end.then(({ code, stderr }) => reject(new Error(`up ended with ${code}: ${stderr}`)))
  })
  await isUp
  return {
    url: `http://127.0.0.1:${port}`,
    child,
    end,
    stop: () => {
      child.kill('SIGINT')
      return end
    },
  }
}
