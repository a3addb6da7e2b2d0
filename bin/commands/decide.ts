// An operator's word on what is missing. It changes no data: the ledger shows who accepted what, when and why.
import { existsSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { Decisions } from '../../shared/decisions.ts'
import { FolderStore } from '../../shared/folder-store.ts'
import type { Decision } from '../../shared/ledger.ts'
import { realDisk } from '../../shared/real-disk.ts'
import { realWorld } from '../../shared/real-world.ts'
import type { ObjectStore } from '../../shared/stores.ts'
import { textLog } from '../../shared/text-log.ts'
import { openArchiveObjects } from '../archive-objects.ts'
import { checkDataVersion } from '../data-folder.ts'
import { EXIT, failure, usageError } from '../fail.ts'
import { foldersOf, settingsOf } from '../settings.ts'
import { escapeControls, Output } from '../terminal.ts'

interface Flags {
  data?: string
  config?: string
  host?: string
  file?: string
  source?: string
  why?: string
}

/** Holes of a host, of one of its files, or of one incarnation of a file. */
export async function accept(_: Flags, command: Command): Promise<number> {
  const { host, file, source, ...flags } = command.optsWithGlobals<Flags>()
  if (host === undefined) throw usageError('whose holes? --host names the host, as `bucktail ledger` shows it')
  const what = { ...(file !== undefined && { path: file }), ...(source !== undefined && { source }) }
  return decide({ kind: 'accept', host, ...what }, flags)
}

/** The host will never come back: what only it had is not waited for any more, and accepted. */
export async function retire(host: string, _: Flags, command: Command): Promise<number> {
  return decide({ kind: 'retire', host }, command.optsWithGlobals<Flags>())
}

async function decide(what: Pick<Decision, 'kind' | 'host' | 'path' | 'source'>, flags: Flags): Promise<number> {
  if (flags.why === undefined || flags.why.trim() === '') throw usageError('why? --why TEXT is shown in the ledger')
  const who = `${userInfo().username}@${hostname()}`
  const archive = await archiveOf(flags)
  await new Decisions(archive).add({ ...what, who, atMs: Date.now(), why: flags.why })
  const output = new Output()
  const scope = [what.host, what.path, what.source].filter(Boolean).join(' ')
  await output.line(escapeControls(`noted for the ledger: ${what.kind} ${scope}, by ${who}: ${flags.why}`))
  await output.flush()
  return EXIT.fine
}

/** Processes may run on it: a decision is one new object beside what they write. */
async function archiveOf(flags: Flags): Promise<ObjectStore> {
  if (flags.data === undefined && flags.config === undefined) {
    throw usageError('beside which archive? --data names a data folder, --config the settings of a fleet')
  }
  if (flags.data === undefined) {
    const { settings } = settingsOf(flags)
    if (settings.archive.kind === 's3')
      return (await openArchiveObjects(settings, realWorld({ log: textLog(process.stderr, 'error') }))).objects
    return folderStore(foldersOf(settings).archive)
  }
  if (!existsSync(flags.data) || checkDataVersion(flags.data) === undefined) {
    throw failure(`${flags.data} is no data folder of bucktail; --data names one`)
  }
  return folderStore(join(resolve(flags.data), 'archive'))
}

function folderStore(folder: string): FolderStore {
  if (!existsSync(folder)) throw failure(`there is no archive at ${folder}; run this where the archive is kept`)
  return new FolderStore(realDisk, folder)
}
