// The tools that the engines need and that a user's machine may lack: a JDK, Maven, Go.
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'

const exec = promisify(execFile)
/** Downloads over a slow line, or a build from source. */
const RUN_MS_MAX = 900_000
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
const JDK_FOLDERS = ['/usr/lib/jvm', '/opt/java', '/Library/Java/JavaVirtualMachines']

/** Something has to be installed first: `message` says what. */
export class ToolMissingError extends Error {
  override readonly name = 'ToolMissingError'
}

/** Undefined, after one loud line, if a tool is missing. In CI that is a failure. */
export async function unlessToolMissing<T>(t: Test, engine: string, start: () => Promise<T>): Promise<T | undefined> {
  try {
    return await start()
  } catch (error) {
    if (!(error instanceof ToolMissingError) || process.env.CI === 'true') throw error
    process.stderr.write(`\n*** NOT TESTED AGAINST ${engine.toUpperCase()}: ${error.message} ***\n\n`)
    t.plan(0, error.message)
    return undefined
  }
}

export async function run(file: string, args: string[], env: Record<string, string> = {}): Promise<void> {
  const options = { env: { ...process.env, ...env }, timeout: RUN_MS_MAX, maxBuffer: OUTPUT_BYTES_MAX }
  await exec(file, args, options).catch((error: Error & { stdout?: string; stderr?: string }) => {
    const said = `${error.stdout ?? ''}\n${error.stderr ?? ''}`.trim().split('\n').slice(-20).join('\n')
    throw new Error(`${file} ${args.join(' ')} failed:\n${said}`, { cause: error })
  })
}

/** The home of a JDK of at least this version. The first `java` on the path is often an old one: all are looked at. */
export function findJdk(versionMin: number): string {
  const onPath = findOnPath('java')
  const places = [
    process.env.JAVA_HOME,
    ...JDK_FOLDERS.flatMap(folder =>
      namesIn(folder).flatMap(name => [join(folder, name), join(folder, name, 'Contents', 'Home')]),
    ),
    onPath && dirname(dirname(onPath)),
  ]
  for (const home of places) if (home && versionOf(home) >= versionMin) return home
  throw new ToolMissingError(
    `no JDK ${versionMin} or later: install one (Debian 13: apt-get install openjdk-21-jdk-headless) or set JAVA_HOME`,
  )
}

/**
 * Copies what the pom depends on, and what that depends on, into the folder.
 * @param pom  outside the checkout: Maven leaves a folder beside it
 */
export async function copyDependencies(pom: string, folder: string): Promise<void> {
  const mvn = findOnPath('mvn')
  if (!mvn) throw new ToolMissingError('no Maven: install it (Debian: apt-get install maven)')
  await run(mvn, ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${folder}`])
}

export async function goInstall(module: string, folder: string): Promise<void> {
  const go = findOnPath('go') ?? ['/usr/local/go/bin/go'].find(existsSync)
  if (!go) throw new ToolMissingError('no Go: install it (Debian: apt-get install golang-go, 1.24 or later)')
  await run(go, ['install', module], { GOBIN: folder })
}

function findOnPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map(folder => join(folder, name))
    .find(existsSync)
}

/** 0: no JDK (a JRE has no compiler), or none that says its version. */
function versionOf(home: string): number {
  if (!existsSync(join(home, 'bin', 'javac')) || !existsSync(join(home, 'release'))) return 0
  return Number(/^JAVA_VERSION="(?:1\.)?(\d+)/m.exec(readFileSync(join(home, 'release'), 'utf8'))?.[1] ?? 0)
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : []
}
