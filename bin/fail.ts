// How a command ends: its exit code, and one sentence on the error stream that says what is wrong and what to do.
export const EXIT = {
  fine: 0,
  failed: 1,
  usage: 2,
  /** Done, but something is missing and named. */
  holes: 3,
  /** The settings; EX_CONFIG of sysexits.h. */
  settings: 78,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** The command cannot go on. The message is for the user: what, where, what to do next. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

export function usageError(message: string, cause?: unknown): CommandError {
  return new CommandError(EXIT.usage, message, { cause })
}

export function failure(message: string, cause?: unknown): CommandError {
  return new CommandError(EXIT.failed, message, { cause })
}

/** Any error as one that says how the command ends. */
export function asCommandError(error: unknown): CommandError {
  if (error instanceof CommandError) return error
  // By name: its class lies with the channel, which most commands never load.
  const isOfSettings = error instanceof Error && error.name === 'ChannelConfigError'
  return new CommandError(isOfSettings ? EXIT.settings : EXIT.failed, reasonOf(error), { cause: error })
}

/** What the operating system said, in words; other errors keep their own. */
export function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  const words = code === undefined ? undefined : REASONS[code]
  if (words !== undefined) return words
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}

const REASONS: Record<string, string> = {
  ENOENT: 'it does not exist',
  EACCES: 'permission denied',
  EPERM: 'the operation is not permitted',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EMFILE: 'too many files are open (raise `ulimit -n`)',
  EADDRINUSE: 'the port is in use',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'the host name is not known',
  EHOSTUNREACH: 'the host cannot be reached',
  ETIMEDOUT: 'it did not answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'it did not answer in time',
}

/** Prints the one sentence and answers the exit code. The stack only with BUCKTAIL_DEBUG=1. */
export function report(error: unknown): ExitCode {
  if (process.env.BUCKTAIL_DEBUG === '1' && error instanceof Error) console.error(error)
  const { exitCode, message } = asCommandError(error)
  process.stderr.write(`bucktail: ${message}\n`)
  return exitCode
}
