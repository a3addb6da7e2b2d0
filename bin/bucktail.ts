#!/usr/bin/env node
// The one command. Nothing is imported before the version check: an old Node would fail on the first import with a
// stack trace instead of a sentence.
// As a whole: a name that an old Node does not have would be such a failure.
import * as modules from 'node:module'
import { setFlagsFromString } from 'node:v8'

const NODE_MAJOR_LEAST = 24

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_LEAST) {
  process.stderr.write(
    `bucktail needs Node ${NODE_MAJOR_LEAST} or later, this is ${process.version}: install it, or put the one of ` +
      '`npm install node@24` first on the PATH.\n',
  )
  process.exit(1)
}
// A tailer's objects are few and short-lived, its text lies outside the heap: the space for young objects stays as small as
// it is now. That is 30 MB less of the user's machine, and costs nothing (bench/agent.ts).
// It packs and hardly unpacks, so msgpackr's native half, which quickens that, would only cost its loading.
if (process.argv[2] === 'tailer') {
  setFlagsFromString('--semi-space-growth-factor=1')
  process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED ??= 'true'
}
modules.enableCompileCache?.()
const { ROLES } = await import('../shared/link.ts')
const isRole = ROLES.some(role => role === process.argv[2])
const exitCode = isRole ? await (await import('./one-role.ts')).runOneRole(process.argv.slice(2)) : undefined
if (exitCode !== undefined) process.exitCode = exitCode
else await (await import('./program.ts')).main(process.argv)
