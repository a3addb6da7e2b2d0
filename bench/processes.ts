// Roles as processes on a core of their own, and what they cost: from /proc, so on Linux only.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'

export const ENTRY = fileURLToPath(new URL('../bin/bucktail.ts', import.meta.url))
/** As it is installed: no types to strip at every start. `npm run build` makes it. */
export const BUILT_ENTRY = fileURLToPath(new URL('../dist/bin/bucktail.js', import.meta.url))
/** USER_HZ: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

export const canPin = cpus().length > 1 && spawnSync('taskset', ['--version']).status === 0

export function startPinned(
  core: number,
  args: string[],
  environment: NodeJS.ProcessEnv = {},
  entry = ENTRY,
): ChildProcess {
  const env = { ...process.env, ...environment }
  const command = [process.execPath, entry, ...args]
  const [file, ...rest] = canPin ? ['taskset', '-c', String(core), ...command] : command
  return spawn(file, rest, { env, stdio: ['ignore', 'ignore', 'inherit'] })
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

export interface Cost {
  cpuSeconds: number
  peakBytes: number
}

/** taskset replaces itself by the command: the process id stays. */
export function costOf(pid: number): Cost {
  // The name, in brackets, may hold spaces: fields count from after it. utime and stime are the 14th and 15th.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    peakBytes: Number(peak?.[1] ?? 0) * 1024,
  }
}

/** What each buck holds. @param pages  `host:port` of their HTTP ports. Rejects until all answer. */
export async function packetsAt(pages: string[]): Promise<number[]> {
  const answers = pages.map(async page => (await fetch(`http://${page}/status`)).json() as Promise<{ packets: number }>)
  return (await Promise.all(answers)).map(status => status.packets)
}

/** @param everyMs  asking costs the one who is asked: seldom, where its CPU is measured */
export async function until(what: string, isTrue: () => Promise<boolean>, ms: number, everyMs = 25): Promise<void> {
  const deadline = performance.now() + ms
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`waited ${ms / 1000} s for: ${what}`)
    await new Promise(resolve => setTimeout(resolve, everyMs))
  }
}
