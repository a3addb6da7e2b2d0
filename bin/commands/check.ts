// The settings, item by item: what is good, what is wrong and where, what to do about it.
import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { styleText } from 'node:util'
import type { Settings } from '../../config/schema.ts'
import { createDialer } from '../../shared/channel/dial.ts'
import { mintNodeKeys } from '../../shared/keys.ts'
import { ROLES, type Role } from '../../shared/link.ts'
import { checkPass } from '../../shared/pass.ts'
import { realRandom, realWorld } from '../../shared/real-world.ts'
import { openArchiveObjects } from '../archive-objects.ts'
import { channelConfig } from '../channel.ts'
import { checkDataVersion, ownFolders } from '../data-folder.ts'
import { EXIT, type ExitCode } from '../fail.ts'
import { filesGiven } from '../files-given.ts'
import { openIndexPlace } from '../index-place.ts'
import { readCredentials } from '../keyring.ts'
import { foldersOf, settingsOf } from '../settings.ts'
import { counted, isTerminal, Output } from '../terminal.ts'

const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

interface Flags {
  config?: string
  offline?: boolean
}

/** Throws with a sentence, or answers what was found to be good. A warning begins with "?". */
type Item = [title: string, look: () => string | Promise<string>]

export async function check(flags: Flags): Promise<number> {
  const output = new Output()
  const tick = (mark: '✓' | '✗' | '!', title: string, text: string) => {
    const colour = mark === '✓' ? 'green' : mark === '✗' ? 'red' : 'yellow'
    return output.line(`${isTerminal() ? styleText(colour, mark) : mark} ${title}: ${text}`)
  }
  const { settings, warnings, from } = settingsOf(flags)
  await tick('✓', 'settings', from === 'defaults' ? 'no file, defaults and environment' : from)
  for (const { where, message } of warnings) await tick('!', where, message)

  const items: Item[] = [
    ['data folder', () => dataFolder(foldersOf(settings).data)],
    ['files', () => files(settings)],
    ...(flags.offline ? [] : [['index', () => index(settings)] satisfies Item]),
    ...(flags.offline ? [] : [['archive', () => archive(settings)] satisfies Item]),
    ...ROLES.map((role): Item => [`keys of ${role}`, () => keys(settings, role)]),
    ...(flags.offline ? [] : settings.bucks.map((address): Item => [`buck ${address}`, () => buck(settings, address)])),
  ]
  let exitCode: ExitCode = EXIT.fine
  for (const [title, look] of items) {
    try {
      const text = await look()
      await tick(text.startsWith('?') ? '!' : '✓', title, text.replace(/^\? /, ''))
    } catch (error) {
      await output.flush()
      await tick('✗', title, (error as Error).message)
      exitCode = title.startsWith('buck ') && exitCode === EXIT.fine ? EXIT.failed : EXIT.settings
    }
  }
  if (flags.offline) await tick('!', 'bucks', 'not tried (--offline)')
  await output.flush()
  return exitCode
}

function dataFolder(folder: string): string {
  if (!existsSync(folder)) {
    accessSync(nearest(folder), constants.W_OK)
    return `${folder} will be made`
  }
  accessSync(folder, constants.W_OK)
  const version = checkDataVersion(folder)
  return version === undefined ? `${folder} is empty` : `${folder}, version ${version}`
}

function nearest(folder: string): string {
  return existsSync(folder) ? folder : nearest(dirname(folder))
}

function files({ tailer, data }: Settings): string {
  if (tailer.files.length === 0) return '? none (a tailer needs tailer.files)'
  const paths = tailer.files.map(rule => (typeof rule === 'string' ? rule : rule.path))
  const given = filesGiven(paths, ownFolders(data))
  const problems = given.problems.map(({ sentence }) => sentence)
  const found = counted(given.files.length, 'file')
  // A glob may match nothing yet.
  return problems.length === 0 ? found : `? ${found}; ${problems.join('; ')}`
}

/** A folder is made by whoever writes first; a bucket has to be there and to answer. */
async function index(settings: Settings): Promise<string> {
  if (settings.index.kind === 'folder') return foldersOf(settings).index
  const place = await openIndexPlace(settings, realWorld({ log: SILENT }), 'check')
  try {
    await place.index.lacking([])
    const trouble = place.trouble()
    return trouble === undefined ? `${place.name} answers` : `? ${trouble}`
  } finally {
    await place.close()
  }
}

async function archive(settings: Settings): Promise<string> {
  if (settings.archive.kind === 'folder') return foldersOf(settings).archive
  const place = await openArchiveObjects(settings, realWorld({ log: SILENT }))
  try {
    await place.objects.list('catalogue/0000000000')
    const trouble = place.trouble()
    return trouble === undefined ? `${place.name} answers` : `? ${trouble}`
  } finally {
    place.close()
  }
}

/** One machine has the keys of its own role only: what is not there is no mistake. */
function keys(settings: Settings, role: Role): string {
  const { name } = settings.channel
  const folder = foldersOf(settings).keys
  if (!existsSync(`${folder}/${name ?? role}.pass`))
    return `? no ${name ?? role}.pass in ${folder}; needed only where that role runs`
  const credentials = readCredentials(folder, name ?? role, role)
  if (name !== undefined && credentials.pass.role !== role) return `? ${name}.pass is for a ${credentials.pass.role}`
  checkPass(credentials.pass, {
    environmentKey: credentials.environmentKey,
    environment: settings.environment,
    roles: [role],
    node: credentials.keys?.id ?? (credentials.pass.node === 'any' ? '0'.repeat(32) : credentials.pass.node),
    nowMs: Date.now(),
    revoked: credentials.revoked,
  })
  return `the pass counts until ${new Date(credentials.pass.notAfterMs).toISOString().slice(0, 10)}`
}

async function buck(settings: Settings, address: string): Promise<string> {
  const folder = foldersOf(settings).keys
  const role = (['porter', 'archie', 'tailer'] as const).find(other =>
    existsSync(`${folder}/${settings.channel.name ?? other}.pass`),
  )
  if (role === undefined) return '? not tried: there is no pass of a tailer, porter or archie here'
  const credentials = readCredentials(folder, settings.channel.name ?? role, role)
  const own = credentials.keys ?? mintNodeKeys(realRandom)
  const dialer = createDialer(channelConfig(settings, role, credentials, own), realWorld({ log: SILENT }), 'buck')
  const link = await dialer.dial(address)
  try {
    await link.ask('ping', {})
    return `answers, id ${link.peer.id}`
  } finally {
    link.close('checked')
  }
}
