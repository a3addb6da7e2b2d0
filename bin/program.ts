// The commands, their options and examples. What a command does is in commands/, loaded when it is called: `--help` and
// `--version` need none of it.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { EXIT, report } from './fail.ts'
import { Output, OutputClosedError } from './terminal.ts'
import { packageVersion } from './version.ts'

const ROLES = {
  tailer: 'reads the log files of this machine and ships them to the bucks',
  buck: 'keeps packets until they are archived, and shows them live',
  porter: 'indexes and archives what the bucks hold; one per environment',
  archie: 'search, pages and REST; one per environment',
} as const

export async function main(argv: string[]): Promise<void> {
  process.exitCode = await run(argv)
}

async function run(argv: string[]): Promise<number> {
  let exitCode: number = EXIT.fine
  let help = ''
  const program = buildProgram(
    code => {
      exitCode = code
    },
    text => {
      help += text
    },
  )
  try {
    await program.parseAsync(argv)
    return exitCode
  } catch (error) {
    // Commander has printed its sentence already; `--help` and `--version` end here too.
    if (error instanceof CommanderError) return error.exitCode === 0 ? await print(help) : EXIT.usage
    if (error instanceof OutputClosedError) return EXIT.fine
    return report(error)
  }
}

/** As every other output: its reader may have gone (`| head`). */
async function print(text: string): Promise<number> {
  const output = new Output()
  try {
    await output.write(text)
    await output.flush()
    return EXIT.fine
  } catch (error) {
    return error instanceof OutputClosedError ? EXIT.fine : report(error)
  }
}

function buildProgram(exit: (code: number) => void, writeOut: (text: string) => void): Command {
  const program = new Command('bucktail')
    .configureOutput({ writeOut })
    .description('A masterless log aggregator: no line lost, none twice, none changed, and provably so.')
    .version(packageVersion(), '-V, --version')
    .exitOverride()
    .showHelpAfterError('Try `bucktail --help`.')
    .addHelpText(
      'after',
      `
Examples:
  bucktail up --samples                    see it work, on logs that it makes itself
  bucktail up '/var/log/**/*.log'          everything on this machine, live page included
  bucktail up --once --data ./d app.log    read to the end, index, archive, done
  bucktail search 'error -timeout' --since 2h
  bucktail restore --host web1 --file /var/log/app.log --out app.log

Exit codes: 0 fine, 1 failed, 2 usage, 3 done but something is missing (and named), 78 settings.
BUCKTAIL_DEBUG=1 shows where an error came from.`,
    )

  /** Loads the command when it is called; its answer is the exit code. */
  const calls =
    (load: () => Promise<(...args: never[]) => Promise<number>>) =>
    async (...args: unknown[]): Promise<void> => {
      const command = await load()
      exit(await command(...(args as never[])))
    }
  const add = (spec: string, description: string, examples: string): Command =>
    program
      .command(spec)
      .description(description)
      .exitOverride()
      .showHelpAfterError(`Try \`bucktail ${spec.split(' ')[0]} --help\`.`)
      .addHelpText('after', `\nExamples:\n${examples.replace(/^/gm, '  ')}`)

  add(
    'up [files...]',
    'Everything on this machine: tailer, three bucks, porter, archie and its pages; no settings needed.',
    `bucktail up --samples
bucktail up '/var/log/**/*.log' app.log
bucktail up --once --data ./incident server.log server.log.1
bucktail up --data ./d --port 8080 --host web1 app.log`,
  )
    .option('--once', 'read the files to their ends, wait until all is indexed and archived, then stop')
    .option('--samples', 'make logs to look at (access, syslog, JSON, stack traces) and tail those')
    .option(
      '--port <port>',
      'port of the live page (default: 7780); the fleet takes ports from 80 below to 10 above it',
      portNumber,
    )
    .option('--data <dir>', 'where everything is kept (default: ./bucktail-data, or BUCKTAIL_DATA)')
    .option('--bucket-time <time>', 'how long lines are collected before they are indexed (default: 10s)')
    .option('--host <name>', 'name of this machine on its lines (default: the host name)')
    .option('--ignore-missing', 'with --once: go on without files that cannot be read')
    .option('--config <file>', 'settings file to start from')
    .action(calls(async () => (await import('./commands/up.ts')).up))

  for (const [role, what] of Object.entries(ROLES)) {
    const command = add(
      role,
      `One role of a fleet: ${what}.`,
      `bucktail ${role} --config /etc/bucktail.yaml
bucktail check --config /etc/bucktail.yaml      first see whether the settings are good`,
    )
      .option('--config <file>', 'settings file (default: BUCKTAIL_CONFIG)')
      .option('--data <dir>', 'where this process keeps its data (default: setting `data`)')
      .action(calls(async () => (await import('./commands/role.ts')).roleCommand(role as keyof typeof ROLES)))
    if (role === 'tailer')
      command.option('--once', 'read the files to their ends, wait until all is archived, then stop')
    if (role === 'porter') {
      command
        .option('--dry-run', 'only say what it would index and archive now, bucket by bucket')
        .option('--json', 'with --dry-run: as JSON')
    }
  }

  const archieOption = () =>
    new Option('--archie <url>', 'a running archie').env('BUCKTAIL_ARCHIE').default('http://127.0.0.1:7780')
  const dataOption = () => new Option('--data <dir>', 'a data folder in which nothing runs, instead of an archie')

  add(
    'tail [query]',
    'Lines as they are written, from all bucks, each once.',
    `bucktail tail
bucktail tail 'level:error OR timeout' --app nginx
bucktail tail --json | jq .message`,
  )
    .addOption(archieOption())
    .option('--host <name>', 'only this host')
    .option('--app <name>', 'only this application')
    .option('--file <glob>', 'only paths like this')
    .option('--json', 'one JSON object per line')
    .action(calls(async () => (await import('./commands/tail.ts')).tail))

  add(
    'search [query]',
    'Lines that were written: the recent index and what is not indexed yet, or the archive.',
    `bucktail search error --since 2h
bucktail search '"connection refused" -health' --host web1 --since 2026-03-01 --until 2026-03-02
bucktail search '*ssl*' --in archive --data ./bucktail-data --json
bucktail search --file '*access*' --raw > access.log
bucktail search --top templates --since 1d --unseen 8d`,
  )
    .addOption(archieOption())
    .addOption(dataOption())
    .option('--since <time>', 'from this time on: 15m, 2h, 2026-03-01, 2026-03-01T12:00:00Z')
    .option('--until <time>', 'up to this time, not included')
    .option('--host <name>', 'only this host')
    .option('--app <name>', 'only this application')
    .option('--file <glob>', 'only paths like this')
    .addOption(new Option('--in <where>', 'recent, archive, or history-ID').argParser(placeName).default('recent'))
    .option('--config <file>', 'settings that say where the archive is: with --in archive, instead of an archie')
    .option('--json', 'one JSON object per line')
    .option('--raw', 'the exact bytes of the lines, nothing else')
    .option('--limit <n>', 'at most so many; the newest of them', wholeNumber)
    .option('--top <what>', 'instead of lines the commonest hosts, apps, levels, paths, or templates (shapes of lines)')
    .option('--unseen <time>', 'with --top and --since: only what did not occur from this time up to then')
    .action(calls(async () => (await import('./commands/search.ts')).search))

  const ledger = add(
    'ledger',
    'Proves, per host and file, that nothing is missing: read = held = indexed = archived. Exit 3 if there is an open hole.',
    `bucktail ledger
bucktail ledger --json --data ./bucktail-data
bucktail ledger accept --host web1 --file /var/log/app.log --why 'debug output' --data ./bucktail-data
bucktail ledger retire web7 --why 'disk burnt' --config /etc/bucktail.yaml`,
  )
    .addOption(archieOption())
    .addOption(dataOption())
    .option('--json', 'all of it as JSON')
    .action(calls(async () => (await import('./commands/ledger.ts')).ledger))
  // `--data` is the option of `ledger` itself: commander finds it there, wherever it is written.
  const decision = (spec: string, description: string): Command =>
    ledger
      .command(spec)
      .description(description)
      .exitOverride()
      .showHelpAfterError('Try `bucktail ledger --help`.')
      .option('--config <file>', 'settings file that says where the archive is, instead of --data')
      .option('--why <text>', 'the reason, shown in the ledger')
  decision('accept', 'Accepts what is missing: an open hole that nobody can fill is no news any more.')
    .option('--host <name>', 'holes of this host')
    .option('--file <path>', 'only of this file, as the ledger shows it')
    .option('--source <id>', 'only of this incarnation of a file')
    .action(calls(async () => (await import('./commands/decide.ts')).accept))
  decision('retire <host>', 'A host will never come back: what only it had is not waited for any more.').action(
    calls(async () => (await import('./commands/decide.ts')).retire),
  )

  const histories = add(
    'history [start] [end]',
    'Makes a time range of the archive searchable as an index of its own; shows progress, prints the name.',
    `bucktail history 2026-03-01T10:00:00Z 2026-03-01T11:00:00Z
bucktail history 3d 2d --host web1 --dry-run          what it would read
bucktail history list
bucktail history drop 20260301t1000-1a2b3c4d`,
  )
    .addOption(archieOption())
    .option('--host <name>', 'only this host')
    .option('--app <name>', 'only this application')
    .option('--file <glob>', 'only paths like this')
    .option('--query <query>', 'only lines that match')
    .option('--dry-run', 'only the estimate')
    .option('--detach', 'do not wait until it is there')
    .option('--json', 'all of it as JSON')
    .action(calls(async () => (await import('./commands/history.ts')).history))
  const ofHistory = (spec: string, description: string): Command =>
    histories.command(spec).description(description).exitOverride().showHelpAfterError('Try `bucktail history --help`.')
  ofHistory('list', 'All there are, the newest first.').action(
    calls(async () => (await import('./commands/history.ts')).list),
  )
  ofHistory('status <id>', 'How far it is, and what came of it.').action(
    calls(async () => (await import('./commands/history.ts')).status),
  )
  ofHistory('cancel <id>', 'Stops the work; what is there stays until it expires.').action(
    calls(async () => (await import('./commands/history.ts')).cancel),
  )
  ofHistory('drop <id>', 'You need it no more; without any user it is removed.').action(
    calls(async () => (await import('./commands/history.ts')).drop),
  )

  const incident = program
    .command('incident')
    .description(
      'The tasks of the porter by hand. Safe on several machines at once: the same range is one task, shared.',
    )
    .exitOverride()
    .showHelpAfterError('Try `bucktail incident --help`.')
    .addHelpText(
      'after',
      `
Examples:
  bucktail incident index --since 2026-03-01 --until 2026-03-02 --config bucktail.yaml
  bucktail incident export --since 3d --to ./evidence --config bucktail.yaml
  bucktail incident work --config bucktail.yaml          help with histories and with all of these
  bucktail incident prune --until 7d --dry-run --config bucktail.yaml`,
    )
  const task = (name: string, description: string): Command =>
    incident
      .command(name)
      .description(description)
      .exitOverride()
      .showHelpAfterError('Try `bucktail incident --help`.')
      .option('--config <file>', 'settings file (default: BUCKTAIL_CONFIG)')
      .option('--data <dir>', 'data folder of the settings')
      .option('--env <name>', 'refuse settings of another environment')
  const rangeTask = (name: string, description: string): Command =>
    task(name, description)
      .option('--since <time>', 'from this time on (default: from the beginning)')
      .option('--until <time>', 'up to this time, not included')
      .option('--dry-run', 'only say what would be done')
  const copyTask = (name: string, description: string): Command =>
    rangeTask(name, description)
      .option('--host <name>', 'only this host')
      .option('--app <name>', 'only this application')
      .option('--file <glob>', 'only paths like this')
  copyTask('index', 'From the archive into the recent index.').action(
    calls(async () => (await import('./commands/incident.ts')).index),
  )
  copyTask('archive', 'From the recent index into the archive.').action(
    calls(async () => (await import('./commands/incident.ts')).archive),
  )
  copyTask('export', 'Into an archive of its own, in a folder.')
    .option('--to <dir>', 'the folder')
    .addOption(new Option('--from <store>', 'index or archive').choices(['index', 'archive']).default('index'))
    .action(calls(async () => (await import('./commands/incident.ts')).exportTo))
  rangeTask('prune', 'What is archived leaves the disks of the bucks, up to --until.').action(
    calls(async () => (await import('./commands/incident.ts')).prune),
  )
  copyTask('erase', "One host's lines leave archive and index for good; the ledger says who, when and why.")
    .option('--why <text>', 'the reason, shown in the ledger')
    .action(calls(async () => (await import('./commands/incident.ts')).erase))
  task('reject-replay', 'Documents that Elasticsearch refused are sent again.')
    .option('--dry-run', 'only list them, with the reasons')
    .action(calls(async () => (await import('./commands/incident.ts')).rejectReplay))
  task('work', 'Helps with the jobs of histories and of all of these, until Ctrl-C.')
    .option('--once', 'until nothing is left to do')
    .action(calls(async () => (await import('./commands/incident.ts')).work))

  add(
    'restore',
    'Gives a file that was tailed back, byte for byte, and checks its hashes.',
    `bucktail restore --host web1 --file /var/log/app.log --out app.log
bucktail restore --file /var/log/app.log --list
bucktail restore --file /var/log/app.log --all --out ./incarnations/
bucktail restore --file app.log --data ./bucktail-data --out - | sha256sum`,
  )
    .addOption(archieOption())
    .addOption(dataOption())
    .option('--host <name>', 'the host; needed only if several have such a file')
    .option('--file <path>', 'the path as it was tailed, its end, or a glob')
    .option('--source <id>', 'one incarnation, by its id')
    .option('--all', 'every incarnation, each into a file of its own in the folder --out')
    .option('--list', 'only list the incarnations')
    .option('--since <time>', 'only lines from this time on')
    .option('--until <time>', 'only lines before this time')
    .option('--out <file>', 'where to write; - is standard output')
    .option('--holes', 'write what there is although something is missing')
    .option('--config <file>', 'settings that say where the archive is: read there, instead of an archie')
    .action(calls(async () => (await import('./commands/restore.ts')).restore))

  add(
    'cat <segments...>',
    'Prints the lines of segment files of an archive; needs no settings and no process.',
    'bucktail cat bucktail-data/archive/segments/*/*.seg | less',
  ).action(calls(async () => (await import('./commands/cat.ts')).cat))

  add(
    'pipe',
    'Standard input as a log: a line is accepted when it is on this disk; the tailer of this data folder ships it.',
    `./server 2>&1 | bucktail pipe --app server
make 2>&1 | bucktail pipe --app build --tee          show the lines too
bucktail pipe --app import --data /var/lib/bucktail < import.log`,
  )
    .requiredOption('--app <name>', 'application of the lines')
    .option('--tee', 'write the lines to standard output as well')
    .option('--data <dir>', 'data folder of the tailer (default: ./bucktail-data, or BUCKTAIL_DATA)')
    .option('--config <file>', 'settings file (default: BUCKTAIL_CONFIG)')
    .action(calls(async () => (await import('./commands/pipe.ts')).pipe))

  add(
    'keygen <nodes...>',
    'Makes keys and passes of an environment: ROLE or NAME:ROLE. What is there already stays.',
    `bucktail keygen --environment prod --out keys tailer buck1:buck buck2:buck buck3:buck porter archie
bucktail keygen --out keys --renew tailer        a new pass for the same keys`,
  )
    .option('--out <dir>', 'folder of the keys', 'keys')
    .option('--environment <name>', 'name of the environment', 'default')
    .option('--expires <time>', 'how long the passes count', '3650d')
    .option('--node <id>', 'a tailer pass for this tailer id only (default: for any machine)')
    .option('--renew', 'write new passes for the keys that are there')
    .action(calls(async () => (await import('./commands/keygen.ts')).keygen))

  add(
    'kibana',
    'Writes what Kibana imports to show this environment: data view, search, dashboard (index.kind elasticsearch).',
    `bucktail kibana --config bucktail.yaml --out prod.ndjson
bucktail kibana --environment prod --history 20261124-081500 --out history.ndjson`,
  )
    .option('--config <file>', 'settings file (default: BUCKTAIL_CONFIG)')
    .option('--environment <name>', 'name of the environment (default: that of the settings)')
    .option('--history <id>', 'for a history in Elasticsearch, instead of the recent index')
    .option('--out <file>', 'file to write; - for standard output', 'bucktail.ndjson')
    .action(calls(async () => (await import('./commands/kibana.ts')).kibana))

  add(
    'check',
    'Reads the settings and says, with line and column, what is wrong; tries the connections.',
    `bucktail check --config bucktail.yaml
bucktail check --offline`,
  )
    .option('--config <file>', 'settings file (default: BUCKTAIL_CONFIG)')
    .option('--offline', 'do not connect to anything')
    .action(calls(async () => (await import('./commands/check.ts')).check))

  add(
    'status',
    'How the processes of an environment are: who is connected, what is behind, how full the disks are.',
    `bucktail status
bucktail status --json --archie http://archie:7780`,
  )
    .addOption(archieOption())
    .option('--json', 'all of it as JSON')
    .action(calls(async () => (await import('./commands/status.ts')).status))

  add(
    'fsck <dir>',
    'Reads every byte of a data folder, finds what is damaged, and names it. Changes nothing.',
    'bucktail fsck ./bucktail-data',
  )
    .option('--json', 'one JSON object per finding')
    .action(calls(async () => (await import('./commands/fsck.ts')).fsck))

  return program
}

function portNumber(text: string): number {
  const port = wholeNumber(text)
  // Ports after it are used too.
  if (port < 1 || port > 65_000) throw new InvalidArgumentError('a port is between 1 and 65000')
  return port
}

function placeName(text: string): string {
  if (/^(recent|archive|history-[a-z0-9][a-z0-9-]{0,62})$/.test(text)) return text
  throw new InvalidArgumentError('write recent, archive, or history- and the id that `bucktail history list` shows')
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('it is not a whole number')
  return Number(text)
}
