// What S3 said, as a decision that the caller can take, and as a sentence for the operator: what, where, what to do next.

/**
 * - missing, exists: answers, not troubles
 * - busy: the store is slow, overloaded, or broken for a moment: tried again
 * - damaged: bytes that arrived are not those that were sent: tried again
 * - unreachable: no answer at all: tried again
 * - denied, bucket, clock, place, refused: trying again at once cannot help
 */
export type S3Kind =
  | 'missing'
  | 'exists'
  | 'busy'
  | 'damaged'
  | 'unreachable'
  | 'denied'
  | 'bucket'
  | 'clock'
  | 'place'
  | 'refused'

export class S3Error extends Error {
  override readonly name = 'S3Error'
  readonly kind: S3Kind
  /** S3's own word, such as `SlowDown`. */
  readonly code: string

  constructor(kind: S3Kind, code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
    this.code = code
  }

  get mayPass(): boolean {
    return MAY_PASS.has(this.kind)
  }
}

/** The bytes that arrived are not those that were sent. */
export class S3DamageError extends S3Error {
  constructor(what: string) {
    super('damaged', 'ChecksumMismatch', `${what}: its SHA-256 is not the one it was written with`)
  }
}

// `clock`: the client learns the store's time from the refusal and signs the next attempt with it.
const MAY_PASS: ReadonlySet<S3Kind> = new Set(['busy', 'damaged', 'unreachable', 'clock'])

const KINDS: Record<string, S3Kind> = {
  NoSuchKey: 'missing',
  NotFound: 'missing',
  NoSuchUpload: 'missing',
  PreconditionFailed: 'exists',
  NoSuchBucket: 'bucket',
  InvalidBucketName: 'bucket',
  AccessDenied: 'denied',
  AccountProblem: 'denied',
  AllAccessDisabled: 'denied',
  ExpiredToken: 'denied',
  InvalidAccessKeyId: 'denied',
  InvalidToken: 'denied',
  SignatureDoesNotMatch: 'denied',
  CredentialsProviderError: 'denied',
  RequestTimeTooSkewed: 'clock',
  RequestExpired: 'clock',
  AuthorizationHeaderMalformed: 'place',
  PermanentRedirect: 'place',
  TemporaryRedirect: 'busy',
  IllegalLocationConstraintException: 'place',
  ConditionalRequestConflict: 'busy',
  OperationAborted: 'busy',
  InternalError: 'busy',
  RequestTimeout: 'busy',
  ServiceUnavailable: 'busy',
  SlowDown: 'busy',
  Throttling: 'busy',
  ThrottlingException: 'busy',
  TooManyRequests: 'busy',
  BadDigest: 'damaged',
  ChecksumMismatch: 'damaged',
  IncompleteBody: 'damaged',
  XAmzContentSHA256Mismatch: 'damaged',
  XAmzContentChecksumMismatch: 'damaged',
  InvalidDigest: 'damaged',
}

interface FromClient {
  name?: string
  message?: string
  code?: string
  $metadata?: { httpStatusCode?: number }
}

/** @param doing  "write segments/…": which action failed */
export function s3Error(error: unknown, doing: string, place: { bucket: string; endpoint?: string }): S3Error {
  if (error instanceof S3Error) return error
  const { name = '', message = String(error), code = '', $metadata } = error as FromClient
  const status = $metadata?.httpStatusCode
  const kind = KINDS[name] ?? KINDS[code] ?? kindOfStatus(status)
  const word = KINDS[name] ? name : code || name || `${status}`
  const where = `bucket "${place.bucket}"${place.endpoint === undefined ? '' : ` at ${place.endpoint}`}`
  const said = `${word}${status === undefined ? '' : `, ${status}`}${isTelling(message, word) ? `: ${message}` : ''}`
  return new S3Error(kind, word, `cannot ${doing} in ${where} (${said})${ADVICE[kind] ?? ''}`, { cause: error })
}

function kindOfStatus(status: number | undefined): S3Kind {
  if (status === undefined) return 'unreachable'
  if (status === 404) return 'missing'
  if (status === 412) return 'exists'
  if (status === 401 || status === 403) return 'denied'
  if (status === 301 || status === 307) return 'place'
  if (status === 408 || status === 409 || status === 429 || status >= 500) return 'busy'
  return 'refused'
}

function isTelling(message: string, word: string): boolean {
  return message !== '' && message !== word && message !== 'UnknownError' && message !== 'Unknown'
}

const ADVICE: Partial<Record<S3Kind, string>> = {
  denied:
    ': check archive.access_key and archive.secret_key, and that they may read, write, list and delete in this bucket',
  bucket: ': there is no such bucket; make it, or correct archive.bucket',
  clock: ": this machine's clock and the store's differ too much; set the clock",
  place: ': the bucket is elsewhere; correct archive.region or archive.endpoint',
  unreachable: ': check archive.endpoint and the network; it is tried again',
  busy: '; it is tried again',
}
