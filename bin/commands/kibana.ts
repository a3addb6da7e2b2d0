// What Kibana imports to show this environment's lines (config/kibana).
import { writeFileSync } from 'node:fs'
import { savedObjectsText } from '../../config/kibana/saved-objects.ts'
import { ElasticNames } from '../../shared/elastic/names.ts'
import { failure, usageError } from '../fail.ts'
import { settingsOf } from '../settings.ts'
import { Output } from '../terminal.ts'

interface Flags {
  config?: string
  environment?: string
  history?: string
  out: string
}

export async function kibana(flags: Flags): Promise<number> {
  const { settings } = settingsOf(flags)
  const environment = flags.environment ?? settings.environment
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(environment)) {
    throw usageError(`--environment ${environment}: small letters, digits and hyphens, at most 63`)
  }
  if (flags.history !== undefined && !/^[a-z0-9-]{1,64}$/.test(flags.history)) {
    throw usageError(`--history ${flags.history} is not the id of a history: \`bucktail history list\` shows them`)
  }
  const { alias } = new ElasticNames(environment, flags.history === undefined ? 'recent' : `history-${flags.history}`)
  const text = savedObjectsText(alias)
  const output = new Output()
  if (flags.out === '-') {
    await output.write(text)
  } else {
    try {
      writeFileSync(flags.out, text)
    } catch (cause) {
      throw failure(`${flags.out} cannot be written: ${(cause as Error).message}`)
    }
    await output.line(`made  ${flags.out}`)
    await output.line('Kibana: Stack Management, Saved Objects, Import (docs/kibana.md)')
  }
  await output.flush()
  return 0
}
