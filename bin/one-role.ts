// `bucktail tailer --config FILE`, as systemd and `bucktail up` start a role: without the table of all commands, which takes
// 20 ms to load and build. What it does not know (`--help`, a mistake) is left to program.ts, which has the words for it.
import { ROLES, type Role } from '../shared/link.ts'
import { roleCommand } from './commands/role.ts'
import { report } from './fail.ts'

export interface RoleCall {
  role: Role
  flags: { config?: string; data?: string; once?: boolean }
}

/** Undefined for anything but a role with nothing but these flags, each at most once. */
export function roleCallOf(args: string[]): RoleCall | undefined {
  const role = ROLES.find(name => name === args[0])
  if (role === undefined) return undefined
  const flags: RoleCall['flags'] = {}
  for (let i = 1; i < args.length; i++) {
    const [arg, value] = [args[i], args[i + 1]]
    if (arg === '--once' && role === 'tailer' && !flags.once) {
      flags.once = true
    } else if ((arg === '--config' || arg === '--data') && value !== undefined && !value.startsWith('-')) {
      const name = arg === '--config' ? 'config' : 'data'
      if (flags[name] !== undefined) return undefined
      flags[name] = value
      i++
    } else return undefined
  }
  return { role, flags }
}

/** The exit code; undefined if the arguments are not for it. */
export async function runOneRole(args: string[]): Promise<number | undefined> {
  const call = roleCallOf(args)
  return call && (await roleCommand(call.role)(call.flags).catch(report))
}
