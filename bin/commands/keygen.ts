import { parseDuration } from '../../config/values.ts'
import { ROLES, type Role } from '../../shared/link.ts'
import { CommandError, EXIT, failure, reasonOf, usageError } from '../fail.ts'
import { makeKeys, type NodeToMake } from '../keyring.ts'
import { dim, Output } from '../terminal.ts'

interface Flags {
  out: string
  environment: string
  expires: string
  node?: string
  renew?: boolean
}

export async function keygen(nodes: string[], flags: Flags): Promise<number> {
  const lifeMs = parseDuration(flags.expires)
  if (lifeMs === undefined) throw usageError(`--expires ${flags.expires} is not a time; write for example 365d`)
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(flags.environment)) {
    throw usageError(`--environment ${flags.environment}: small letters, digits and hyphens, at most 63`)
  }
  if (flags.node !== undefined && !/^[0-9a-f]{32}$/.test(flags.node)) {
    throw usageError(`--node ${flags.node} is not a tailer id: it has 32 hex digits (\`bucktail status\` shows it)`)
  }
  const made = attempt(flags.out, () =>
    makeKeys(flags.out, {
      environment: flags.environment,
      nodes: nodes.map(nodeOf),
      notAfterMs: Date.now() + lifeMs,
      renew: flags.renew === true,
      onlyNode: flags.node,
    }),
  )
  const output = new Output()
  for (const { file, what, isNew } of made) await output.line(`${isNew ? 'made' : 'kept'}  ${file}  ${dim(what)}`)
  await output.line('')
  await output.line(
    `Each machine needs environment.pub and its own NAME.pass and NAME.key; set channel.keys to their folder`,
  )
  await output.line(`and channel.name to NAME. Keep environment.key to yourself: whoever has it can let machines in.`)
  await output.flush()
  return EXIT.fine
}

/** "buck" or "buck1:buck". */
function nodeOf(text: string): NodeToMake {
  const [name, role = name] = text.split(':')
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name) || !ROLES.includes(role as Role)) {
    throw usageError(`"${text}" is not ROLE or NAME:ROLE; roles are ${ROLES.join(', ')}, for example buck1:buck`)
  }
  return { name, role: role as Role }
}

function attempt<T>(folder: string, step: () => T): T {
  try {
    return step()
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw failure(`cannot make keys in ${folder}: ${reasonOf(error)}`, error)
  }
}
