// One role as this process, until SIGINT or SIGTERM (or, under `bucktail up`, until its parent says so or is gone).
import { setInterval as every } from 'node:timers/promises'
import type { Role } from '../../shared/link.ts'
import { realWorld } from '../../shared/real-world.ts'
import { textLog } from '../../shared/text-log.ts'
import { type ToChild, tellParent } from '../child-messages.ts'
import { asCommandError, EXIT, failure } from '../fail.ts'
import { keepFilesPrivate } from '../private-files.ts'
import { hasTerminal, reload } from '../reload.ts'
import type { RoleStart, RunningRole } from '../roles/role.ts'
import { type SettingsFlags, settingsOf } from '../settings.ts'

const PROGRESS_MS = 250

const STARTS: Record<Role, () => Promise<(start: RoleStart) => Promise<RunningRole>>> = {
  tailer: async () => (await import('../roles/tailer.ts')).startTailer,
  buck: async () => (await import('../roles/buck.ts')).startBuck,
  porter: async () => (await import('../roles/porter.ts')).startPorter,
  archie: async () => (await import('../roles/archie.ts')).startArchie,
}

type RoleFlags = SettingsFlags & { once?: boolean; dryRun?: boolean; json?: boolean }

export function roleCommand(role: Role): (flags: RoleFlags) => Promise<number> {
  return async flags => {
    if (flags.dryRun) return (await import('./porter-preview.ts')).porterPreview(flags)
    const stop = new AbortController()
    const stopNow = () => stop.abort(new Error('told to stop'))
    process.once('SIGINT', stopNow)
    process.once('SIGTERM', stopNow)
    const onHangup = hangups(stopNow)
    if (process.send !== undefined) {
      process.on('message', (message: ToChild) => message.type === 'stop' && stopNow())
      process.once('disconnect', stopNow)
    }
    keepFilesPrivate()
    try {
      await runRole(role, flags, stop.signal, onHangup)
      return EXIT.fine
    } catch (error) {
      const { exitCode, message } = asCommandError(error)
      await tellParent({ type: 'failed', message, exitCode })
      throw error
    } finally {
      // The channel to the parent would keep the process alive.
      if (process.connected) process.disconnect()
    }
  }
}

/** SIGHUP asks for the settings to be read again; before there is anything to do so it is passed over. */
function hangups(stopNow: () => void): (then: () => void) => void {
  let act: () => void = () => undefined
  const hadTerminal = hasTerminal()
  process.on('SIGHUP', () => (hadTerminal && !hasTerminal() ? stopNow() : act()))
  return then => {
    act = then
  }
}

async function runRole(
  role: Role,
  flags: SettingsFlags & { once?: boolean },
  signal: AbortSignal,
  onHangup: (then: () => void) => void,
): Promise<void> {
  const { settings, warnings, from } = settingsOf(flags)
  const log = textLog(process.stderr, settings.log.level)
  for (const { where, message } of warnings) log.warn('setting not used', { where, message })
  const start = await STARTS[role]()
  const isOnce = flags.once === true
  const running = await start({ settings, world: realWorld({ log }), signal, isOnce })
  // Watched below; a failure before that is no unhandled one.
  running.ended.catch(() => undefined)
  log.info(`${role} started`, { pid: process.pid, settings: from, listens: running.listens.join(', ') })
  let followed = settings
  onHangup(() => {
    followed = reload({ role, running, log }, followed, () => settingsOf(flags))
  })
  await tellParent({ type: 'ready' })
  try {
    await Promise.race([running.ended, tellProgress(running)])
    if (running.onceProgress) await tellParent({ type: 'progress', progress: running.onceProgress() })
    // Exit code 0 says that all is archived.
    if (isOnce && signal.aborted)
      throw failure('told to stop before all was archived; the same command goes on where it was')
  } finally {
    await running.close()
    log.info(`${role} stopped`)
  }
}

/** Never resolves. */
async function tellProgress({ onceProgress }: RunningRole): Promise<void> {
  if (onceProgress === undefined || process.send === undefined) return new Promise(() => undefined)
  for await (const _ of every(PROGRESS_MS, undefined, { ref: false })) {
    await tellParent({ type: 'progress', progress: onceProgress() })
  }
}
