#!/usr/bin/env node
// The one command. Nothing is imported before the version check: an old Node would fail on the first import with a
// stack trace instead of a sentence.
import { enableCompileCache } from 'node:module'

const NODE_MAJOR_LEAST = 24

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_LEAST) {
  process.stderr.write(
    `bucktail needs Node ${NODE_MAJOR_LEAST} or later, this is ${process.version}: install it, or put the one of ` +
      '`npm install node@24` first on the PATH.\n',
  )
  process.exit(1)
}
enableCompileCache?.()
const { main } = await import('./program.ts')
await main(process.argv)
