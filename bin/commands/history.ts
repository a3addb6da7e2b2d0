// Histories from the command line: a running archie makes them, this waits and shows how far they are.

import { hostname, userInfo } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { HistoryStatus } from '../../archie/history.ts'
import { askArchie, sendArchie } from '../archie-place.ts'
import { EXIT, type ExitCode, failure, usageError } from '../fail.ts'
import { Progress, progressBar } from '../progress.ts'
import { COMMAND, count, counted, escapeControls, Output, size, table } from '../terminal.ts'

const LOOK_EVERY_MS = 500
const PATH = '/rpc/history'

interface Flags {
  archie: string
  host?: string
  app?: string
  file?: string
  query?: string
  dryRun?: boolean
  detach?: boolean
  json?: boolean
}

/** Makes one, waits until it is there, and prints its name. */
export async function history(start: string | undefined, end: string | undefined, flags: Flags): Promise<number> {
  if (start === undefined || end === undefined) {
    throw usageError(
      'from when to when? `bucktail history START END`, such as `bucktail history 2026-03-01 2026-03-02`',
    )
  }
  const { host, app, file, query, dryRun, detach, json, archie } = flags
  const output = new Output()
  const body = { since: start, until: end, host, app, file, q: query, by: whoAsks() }
  if (dryRun) {
    const { estimate } = await sendArchie<Pick<HistoryStatus, 'estimate'>>(archie, 'POST', PATH, { ...body, dryRun })
    await output.line(json ? JSON.stringify(estimate) : estimateText(estimate))
    await output.flush()
    return EXIT.fine
  }
  const started = await sendArchie<HistoryStatus>(archie, 'POST', PATH, body)
  process.stderr.write(`bucktail: ${estimateText(started.estimate)}\n`)
  const status = detach ? started : await waitFor(archie, started)
  await output.line(json ? JSON.stringify(status) : status.index)
  await output.flush()
  return detach ? EXIT.fine : await conclude(status)
}

export async function list(_: Flags, command: Command): Promise<number> {
  const { archie, json } = command.optsWithGlobals<Flags>()
  const { histories } = await askArchie<{ histories: HistoryStatus[] }>(archie, PATH)
  const output = new Output()
  if (json) await output.line(JSON.stringify(histories))
  else if (histories.length === 0) await output.line('there are no histories')
  else {
    const rows = histories.map(({ id, since, until, state, progress, by, users, expires }) => [
      id,
      since.slice(0, 19),
      until.slice(0, 19),
      state === 'running' ? `running, ${Math.floor(progress.fraction * 100)} %` : state,
      progress.events,
      escapeControls(users > 1 ? `${by} and ${users - 1} more` : by),
      expires?.slice(0, 16) ?? '',
    ])
    await output.line(table(['id', 'since', 'until', 'state', 'events', 'asked for by', 'removed at'], rows))
  }
  await output.flush()
  return EXIT.fine
}

export async function status(id: string, _: Flags, command: Command): Promise<number> {
  const { archie, json } = command.optsWithGlobals<Flags>()
  const found = await askArchie<HistoryStatus>(archie, pathOf(id))
  const output = new Output()
  await output.line(json ? JSON.stringify(found) : readable(found))
  await output.flush()
  return found.state === 'done' ? exitOf(found) : EXIT.fine
}

export async function cancel(id: string, _: Flags, command: Command): Promise<number> {
  const { archie } = command.optsWithGlobals<Flags>()
  const path = `${pathOf(id)}?keep=true&by=${encodeURIComponent(whoAsks())}`
  const { progress, expires } = await sendArchie<HistoryStatus>(archie, 'DELETE', path)
  return said(`cancelled; ${counted(progress.events, 'event')} stay until ${expires?.slice(0, 16)}`)
}

export async function drop(id: string, _: Flags, command: Command): Promise<number> {
  const { archie } = command.optsWithGlobals<Flags>()
  const path = `${pathOf(id)}?by=${encodeURIComponent(whoAsks())}`
  const { users } = await sendArchie<{ users: number }>(archie, 'DELETE', path)
  return said(users === 0 ? 'dropped: it is being removed' : `yours no more; ${counted(users, 'user')} still need it`)
}

async function waitFor(archie: string, started: HistoryStatus): Promise<HistoryStatus> {
  const progress = new Progress()
  let told = ''
  let status = started
  try {
    while (status.state === 'waiting' || status.state === 'running') {
      await sleep(LOOK_EVERY_MS)
      status = await askArchie<HistoryStatus>(archie, pathOf(started.id))
      progress.show(status.progress.fraction, progressText(status))
      const trouble = status.progress.troubles.join('; ')
      if (trouble !== '' && trouble !== told) {
        progress.end()
        process.stderr.write(`bucktail: ${escapeControls(trouble)}\n`)
      }
      told = trouble
    }
    return status
  } finally {
    progress.end()
  }
}

/** The last word on the error stream, and the exit code. */
async function conclude(status: HistoryStatus): Promise<ExitCode> {
  if (status.state !== 'done')
    throw failure(`the history was ${status.state}; ${status.index} holds what there was by then`)
  const { found, archived, fresh, damages, workMs } = status.result!
  const rate = workMs > 0 ? `, ${count(Math.round(found / (workMs / 1000)))} a second of work` : ''
  process.stderr.write(
    `bucktail: ${counted(found, 'event')}${rate}; the archive has ${count(archived)} of this time, ${count(fresh)} came from the bucks; ` +
      `kept until ${status.expires?.slice(0, 16)}\nbucktail: search it with \`${COMMAND} search --in history-${status.id}\`\n`,
  )
  for (const damage of damages) process.stderr.write(`bucktail: not in it: ${escapeControls(damage)}\n`)
  return exitOf(status)
}

function exitOf({ result }: HistoryStatus): ExitCode {
  return result?.isEqual && result.damages.length === 0 ? EXIT.fine : EXIT.holes
}

function readable(status: HistoryStatus): string {
  const { id, index, state, since, until, by, users, progress, estimate, result, expires } = status
  const filters = (['host', 'app', 'file', 'q'] as const).flatMap(name =>
    status[name] ? `${name} ${status[name]}` : [],
  )
  const lines = [
    `${id}: ${state}`,
    `index      ${index}`,
    `range      ${since} up to ${until}${filters.length > 0 ? `, only ${filters.join(', ')}` : ''}`,
    `asked by   ${by}${users > 1 ? ` and ${users - 1} more` : ''}`,
    `estimate   ${estimateText(estimate)}`,
    `progress   ${progressBar(progress.fraction)} ${progressText(status)}`,
    ...progress.workers.map(worker => `worker     ${worker}`),
    ...progress.troubles.map(trouble => `trouble    ${trouble}`),
  ]
  if (result) {
    lines.push(
      `result     ${counted(result.found, 'event')}; the archive has ${count(result.archived)}, the bucks gave ${count(result.fresh)}: ${result.isEqual ? 'they agree' : 'THEY DIFFER'}`,
      ...result.damages.map(damage => `missing    ${damage}`),
    )
  }
  if (expires) lines.push(`removed    ${expires}`)
  return lines.map(escapeControls).join('\n')
}

function progressText({ progress }: HistoryStatus): string {
  const { events, jobs, jobsDone, etaSeconds, workers } = progress
  const eta = etaSeconds === undefined ? '' : `, about ${etaSeconds} s to go`
  const by = workers.length > 1 ? `, ${workers.length} at work` : ''
  return `${counted(events, 'event')}, ${jobsDone} of ${counted(jobs, 'job')}${by}${eta}`
}

function estimateText({ segments, bytes, rawBytes, events }: HistoryStatus['estimate']): string {
  return `about ${counted(events, 'event')} in ${counted(segments, 'segment')}, ${size(bytes)} to read, ${size(rawBytes)} of text`
}

function pathOf(id: string): string {
  return `${PATH}/${encodeURIComponent(id.replace(/^(bucktail-.*-)?history-/, ''))}`
}

function whoAsks(): string {
  return `${userInfo().username}@${hostname()}`.slice(0, 64)
}

async function said(text: string): Promise<number> {
  const output = new Output()
  await output.line(text)
  await output.flush()
  return EXIT.fine
}
