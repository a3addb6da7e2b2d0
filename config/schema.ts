// The settings: one schema is the types, the defaults, the checks and the reference page (docs/settings.md).
// Every key is also an environment variable: BUCKTAIL_ and its path in capitals (tailer.disk_limit: BUCKTAIL_TAILER_DISK_LIMIT).
import * as z from 'zod'
import { compilePattern, PATTERN_STEPS_MAX, PatternError } from '../shared/query/pattern.ts'
import { address, bytes, duration, moment, moments, rate } from './values.ts'

const text = () => z.string({ error: 'a text' }).min(1, 'must not be empty')
const texts = () => z.array(text(), { error: 'a list' })

const From = z
  .union([z.enum(['beginning', 'end']), duration('1s', '3650d').transform(ageMs => ({ ageMs }))], {
    error: 'beginning, end, or an age such as 2h',
  })
  .meta({ kind: '`beginning`, `end`, or an age such as `2h`' })

const Pattern = text().superRefine((source, context) => {
  try {
    compilePattern(source, false)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    context.addIssue({ code: 'custom', message: `"${source}" is ${error.message}` })
  }
})

const Multiline = z
  .union(
    [
      z.enum(['traces', 'none', 'time', 'indented']),
      z.strictObject({ start: Pattern }),
      z.strictObject({ continue: Pattern }),
    ],
    { error: 'traces, none, time or indented; for a file also `start: PATTERN` or `continue: PATTERN`' },
  )
  .meta({ kind: 'traces, none, time or indented' })

const Redact = z
  .union(
    [
      z.enum(['cards', 'emails', 'bearer']),
      z.strictObject({ name: text().regex(/^[a-z0-9_]{1,40}$/, 'small letters, digits and _'), pattern: Pattern }),
    ],
    { error: 'cards, emails, bearer, or an entry with `name` and `pattern`' },
  )
  .meta({ kind: 'rule' })
const Redacts = z.array(Redact, { error: 'a list of rules' }).max(32, 'at most 32 rules')

/** Asked of every record: a costly one would hold up all files. */
const FilterPattern = Pattern.refine(
  source => stepsOf(source) <= PATTERN_STEPS_MAX,
  `has more than ${PATTERN_STEPS_MAX} steps: with shorter repetitions it would have fewer`,
)

function stepsOf(source: string): number {
  try {
    return compilePattern(source, false).steps
  } catch {
    // Told by Pattern.
    return 0
  }
}

const Keep = z.array(FilterPattern, { error: 'a list of patterns' }).max(32, 'at most 32 patterns')
const Drop = z
  .array(
    z.union(
      [FilterPattern, z.strictObject({ name: text().max(60, 'at most 60 characters'), pattern: FilterPattern })],
      {
        error: 'a pattern, or an entry with `name` and `pattern`',
      },
    ),
    { error: 'a list of patterns' },
  )
  .max(32, 'at most 32 patterns')

const Over = z
  .enum(['wait', 'discard'], { error: 'wait (the rest stays in the file) or discard (lines are dropped, and counted)' })
  .default('wait')
const RateLimit = z.union(
  [rate().transform(limit => ({ rate: limit, over: 'wait' as const })), z.strictObject({ rate: rate(), over: Over })],
  {
    error: ({ input }) =>
      typeof input === 'string'
        ? `"${input}" is not a rate: write a number and lines/s, or a size and /s, such as 1000 lines/s or 5MB/s`
        : 'a rate, such as 1000 lines/s or 5MB/s, or an entry with `rate` and `over`',
  },
)

const Quota = z.union(
  [
    bytes('1KB').transform(size => ({ bytes: size, over: 'wait' as const })),
    z.strictObject({ bytes: bytes('1KB'), over: Over }),
  ],
  {
    error: ({ input }) =>
      typeof input === 'string'
        ? `"${input}" is not a size of at least 1KB: write bytes per day, such as 2GB`
        : 'bytes per day, such as 2GB, or an entry with `bytes` and `over`',
  },
)

const Durability = z.enum(['disk', 'one', 'two', 'archived'], {
  error: 'disk, one, two or archived: what must have acknowledged its lines before the tailer may forget them',
})

/** An entry of `tailer.files` that is more than a path. */
export const FileEntry = z.strictObject({
  path: text(),
  app: text().optional(),
  host: text().optional(),
  zone: text()
    .refine(
      zone => Intl.supportedValuesOf('timeZone').includes(zone) || zone === 'UTC',
      'an IANA zone, such as Europe/Berlin',
    )
    .optional(),
  from: From.optional(),
  names: Pattern.optional(),
  multiline: Multiline.optional(),
  redact: Redacts.optional(),
  keep: Keep.optional(),
  drop: Drop.optional(),
  rate_limit: RateLimit.optional(),
  quota: Quota.optional(),
  durability: Durability.optional(),
})

const FileRule = z
  .union([text(), FileEntry], {
    error:
      'a path, a glob, or an entry with `path` and `app`, `host`, `zone`, `from`, `names`, `multiline`, `redact`, `keep`, `drop`, `rate_limit`, `quota`, `durability`',
  })
  .meta({ kind: 'path' })

export const Settings = z.strictObject({
  environment: text()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'small letters, digits and hyphens, at most 63')
    .default('default')
    .describe(
      'Name of the environment: keys, bucks, index and archive of one environment never meet those of another.',
    ),
  data: text().default('./bucktail-data').describe('Folder of everything that is kept. Must be on a local disk.'),
  bucket_time: duration('1s', '1024s')
    .prefault('60s')
    .describe(
      'How long a tailer collects into one bucket. Shorter: sooner indexed; longer: fewer files. The same on every machine, 10 s or more in earnest.',
    ),
  bucks: z
    .array(address(), { error: 'a list of addresses' })
    .min(1, 'at least one buck; two or more to survive the loss of one')
    .max(64, 'at most 64 bucks')
    .default(['127.0.0.1:7700'])
    .describe('Channel addresses of all bucks, for tailers, porter and archie.'),
  channel: z
    .strictObject({
      mode: z
        .enum(['nacl', 'plain'], { error: 'nacl or plain' })
        .default('nacl')
        .describe(
          'How connections are protected. The same on both ends; plain only where nobody else is on the network.',
        ),
      keys: text()
        .optional()
        .describe('Folder with the keys that `bucktail keygen` made. Unset: `keys` in the data folder.'),
      name: text()
        .optional()
        .describe('Which key and pass in that folder are this process: NAME.key and NAME.pass. Unset: the role.'),
    })
    .prefault({})
    .describe('Connections between tailers, bucks, porter and archie.'),
  tailer: z
    .strictObject({
      files: z
        .array(FileRule, { error: 'a list of paths, globs, or entries with `path`' })
        .prefault([])
        .describe(
          'Files to tail: paths and globs (`/var/log/**/*.log`), or entries with `path` and, for lines that do not say it themselves, `app`, `host`, `zone` (of times without one); further `from`, `multiline`, `redact`, `keep` and `drop` (lists of patterns: which records are kept, and which of these are not), `rate_limit` (of each of its files, `1000 lines/s` or `5MB/s`: what is over it waits in the file, or with `{ rate: 1000 lines/s, over: discard }` is dropped), `quota` (of each log, in bytes per day, or `{ bytes: 2GB, over: discard }`), `durability` (what must have acknowledged its lines before they may be forgotten: `disk`, `one` or `two` bucks, `archived`), and `names`: a pattern over the path with groups `(?<host>…)` and `(?<app>…)`.',
        ),
      host: text().optional().describe('Name of this machine on its lines. Unset: the host name of the system.'),
      from: From.prefault('beginning').describe(
        'Where reading of a file begins that is there at the first look: `beginning`, `end`, or an age such as `2h`: with the first line that is no older. What is skipped is in the ledger. Files that come later are read from their beginning.',
      ),
      multiline: Multiline.default('traces').describe(
        'Which lines make up one event: `traces` (stack traces of common languages), `none`, `time` (a line with a time begins one), `indented`. A file may have its own, and patterns. See multi-line.md.',
      ),
      multiline_wait: duration('10ms', '60s')
        .prefault('200ms')
        .describe('How long a trace at the end of a file is waited for, to see whether it goes on.'),
      redact: Redacts.default([]).describe(
        'What is hidden before a line is written or sent: `cards`, `emails`, `bearer`, or entries with `name` and `pattern`. A file may have its own list in place of this. See redaction.md.',
      ),
      exclude: z
        .array(text(), { error: 'a list of globs' })
        .default([])
        .describe('Globs of files and folders that are never read, whatever names them (`/var/log/**/*.tmp`).'),
      http: address().default('127.0.0.1:7790').describe('Where /healthz, /readyz, /metrics and /status are served.'),
      gateway: z
        .boolean({ error: 'true or false' })
        .optional()
        .describe(
          'Whether programs may push lines to `POST /v1/logs/create` on the HTTP port; whoever reaches the port may. Unset: yes. `true` also lets a tailer run that has no files.',
        ),
      journald: z
        .boolean({ error: 'true or false' })
        .default(false)
        .describe(
          'Also follow the journal of systemd, through `journalctl`; `from` says where it begins. The tailer needs the group systemd-journal.',
        ),
      packet_bytes: bytes('4KB')
        .refine(value => value <= 16e6, 'at most 16MB')
        .prefault('3MB')
        .describe('A packet is cut at so many bytes of log.'),
      packet_time: duration('10ms', '10s').prefault('250ms').describe('A packet is cut at the latest after this time.'),
      disk_limit: bytes('10MB')
        .prefault('10GB')
        .describe(
          'Most bytes of not yet archived log on its own disk. Then it stops reading: the log file is the buffer.',
        ),
      over_disk_limit: z
        .enum(['stop', 'discard'], { error: 'stop or discard' })
        .default('stop')
        .describe(
          'What it does at `disk_limit`: `stop` reading, or `discard` the oldest buckets, although the archive does not have them. What no buck acknowledged is then a hole in the ledger, by name and bytes.',
        ),
    })
    .prefault({})
    .describe('Reads the log files of one machine.'),
  buck: z
    .strictObject({
      listen: address().default('127.0.0.1:7700').describe('Channel: where tailers, porter and archie connect.'),
      http: address().default('127.0.0.1:7701').describe('Live lines, /healthz, /readyz, /metrics, /status.'),
      folders: texts()
        .optional()
        .describe('Folders for the packets, one for each disk. Unset: `buck` in the data folder.'),
      disk_limit: bytes('10MB').prefault('100GB').describe('Most bytes of packets; over it the buck refuses packets.'),
      keep_archived: duration('1s', '3650d')
        .prefault('72h')
        .describe(
          'How long packets stay after they are archived. The shorter, the less the archive can be repaired from.',
        ),
      allowed_hosts: texts()
        .default([])
        .describe('Further names, without port, under which browsers may reach the HTTP port.'),
    })
    .prefault({})
    .describe('Keeps packets until they are archived and shows them live.'),
  porter: z
    .strictObject({
      http: address().default('127.0.0.1:7785').describe('Where /healthz, /readyz, /metrics and /status are served.'),
      archive_after: duration('0s', '3650d')
        .prefault('48h')
        .describe('Age at which a bucket is written to the archive.'),
      hole_after: duration('1s', '3650d')
        .prefault('24h')
        .describe('After so long without the tailer, what no buck holds counts as a hole.'),
      history_start: moment()
        .optional()
        .describe(
          'Buckets before this time are neither indexed nor archived; the ledger names them as released. Unset: all are.',
        ),
      exclude: z
        .array(moments(), { error: 'a list of FROM/TO' })
        .default([])
        .describe(
          'Spans of time, FROM/TO, whose buckets are neither indexed nor archived (a flood, a test); the ledger names them as released.',
        ),
    })
    .prefault({})
    .describe('Indexes and archives. One per environment; two at once do no harm.'),
  index: z
    .strictObject({
      kind: z
        .enum(['folder', 'elasticsearch'], { error: 'folder or elasticsearch' })
        .default('folder')
        .describe('Where the recent index is: a folder, or Elasticsearch 8 or 9 (docs/elasticsearch.md).'),
      folder: text().optional().describe('Folder of the recent index. Unset: `index` in the data folder.'),
      keep: duration('1h', '3650d').prefault('7d').describe('How long lines stay in the recent index.'),
      nodes: z
        .array(z.url({ protocol: /^https?$/, error: 'an address such as https://es1.example.org:9200' }), {
          error: 'a list of addresses',
        })
        .max(32, 'at most 32')
        .default([])
        .describe('Elasticsearch: addresses of its nodes. One that does not answer is passed over.'),
      api_key: text()
        .optional()
        .describe('Elasticsearch: an API key (base64); better in BUCKTAIL_INDEX_API_KEY than in a file.'),
      username: text().optional().describe('Elasticsearch: a user, in place of an API key.'),
      password: text().optional().describe('Elasticsearch: its password; better in BUCKTAIL_INDEX_PASSWORD.'),
      ca: text()
        .optional()
        .describe('Elasticsearch: PEM file of the authority that signed its certificates. Unset: those of the system.'),
      shards: z
        .int({ error: 'a whole number' })
        .min(1)
        .max(1024)
        .default(1)
        .describe('Elasticsearch: shards of one day. One is good for some 50 GB of log a day.'),
      mode: z
        .enum(['standard', 'logsdb'], { error: 'standard or logsdb' })
        .default('standard')
        .describe('Elasticsearch: kind of its indexes. logsdb is untried (docs/elasticsearch.md).'),
      rejects: text()
        .optional()
        .describe('Elasticsearch: folder for documents that it refuses. Unset: `rejects` in the data folder.'),
    })
    .refine(({ kind, nodes }) => kind !== 'elasticsearch' || nodes.length > 0, {
      error: 'elasticsearch needs index.nodes: the addresses of its nodes',
      path: ['nodes'],
    })
    .prefault({})
    .describe('The recent index.'),
  archive: z
    .strictObject({
      kind: z
        .enum(['folder', 's3'], { error: 'folder or s3' })
        .default('folder')
        .describe('Where the archive is: a folder, or a bucket of S3 or of a store that speaks S3 (docs/s3.md).'),
      folder: text().optional().describe('Folder of the archive. Unset: `archive` in the data folder.'),
      span: duration('1m', '24h').prefault('1h').describe('How much time one part of the archive’s catalogue covers.'),
      keep: duration('1d', '36500d')
        .optional()
        .describe('How long lines stay in the archive; the ledger then shows them as expired. Unset: for ever.'),
      trust: z
        .boolean({ error: 'true or false' })
        .optional()
        .describe(
          'The archive is safe by itself (not one disk): tailers may forget what is in it although bucks forget it too. Unset: true for S3, false for a folder.',
        ),
      bucket: text().optional().describe('S3: name of the bucket. It has to be there.'),
      prefix: z
        .string({ error: 'a text' })
        .regex(
          /^([A-Za-z0-9_=.-]+\/)*$/,
          'letters, digits and _ = . - in parts that each end with /, such as logs/prod/',
        )
        .default('')
        .describe('S3: before every key, such as `logs/prod/`, so that a bucket may hold other things too.'),
      region: text()
        .optional()
        .describe('S3: region of the bucket. Unset: us-east-1, which other stores than AWS ignore.'),
      endpoint: z
        .url({ protocol: /^https?$/, error: 'an address such as https://s3.example.org' })
        .optional()
        .describe('S3: address of the store. Unset: that of AWS for the region.'),
      path_style: z
        .boolean({ error: 'true or false' })
        .optional()
        .describe(
          'S3: the bucket in the path of an address instead of the host name. Unset: yes if there is an endpoint.',
        ),
      access_key: text()
        .optional()
        .describe(
          'S3: the access key. Unset: as the client of AWS finds it (environment, profile, role of the machine).',
        ),
      secret_key: text().optional().describe('S3: its secret; better in BUCKTAIL_ARCHIVE_SECRET_KEY than in a file.'),
      storage_class: z
        .enum(['STANDARD', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING', 'GLACIER_IR', 'REDUCED_REDUNDANCY'], {
          error: 'a class that can be read at once: STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR',
        })
        .optional()
        .describe('S3: storage class of the segments; the small objects stay in the bucket’s own.'),
      encryption: z
        .enum(['AES256', 'aws:kms'], { error: 'AES256 or aws:kms' })
        .optional()
        .describe('S3: encryption at the store. Unset: what the bucket does.'),
      kms_key: text().optional().describe('S3: key for aws:kms. Unset: the account’s.'),
      tags: z
        .array(text().regex(/^[^=]+=.*$/, 'NAME=VALUE'), { error: 'a list' })
        .max(10, 'at most 10')
        .default([])
        .describe('S3: tags of every object, NAME=VALUE.'),
    })
    .refine(({ kind, bucket }) => kind !== 's3' || bucket !== undefined, {
      path: ['bucket'],
      error: 'is needed with archive.kind s3: the name of the bucket',
    })
    .refine(({ access_key, secret_key }) => (access_key === undefined) === (secret_key === undefined), {
      path: ['secret_key'],
      error: 'access_key and secret_key are given together, or neither',
    })
    .prefault({})
    .describe('The archive, for years.'),
  history: z
    .strictObject({
      folder: text().optional().describe('Folder of history indexes. Unset: `history` in the data folder.'),
      keep: duration('1m', '3650d')
        .prefault('24h')
        .describe('How long a history stays after it is built; whoever still needs it asks for it again.'),
    })
    .prefault({})
    .describe('Searchable copies of a time range, made of the archive (docs/history.md).'),
  archie: z
    .strictObject({
      http: address().default('127.0.0.1:7780').describe('Pages and REST.'),
      live: texts()
        .optional()
        .describe(
          'HTTP addresses of the bucks as browsers reach them, in the order of `bucks`. Unset: http:// and port + 1.',
        ),
      allowed_hosts: texts()
        .default([])
        .describe('Further names, without port, under which browsers may reach the pages.'),
    })
    .prefault({})
    .describe('Search, pages, REST.'),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error'], { error: 'debug, info, warn or error' })
        .default('info')
        .describe('What the process itself says on its error stream.'),
    })
    .prefault({})
    .describe('What bucktail says of itself.'),
})

export type Settings = z.output<typeof Settings>
/** As the user writes it. */
export type SettingsInput = z.input<typeof Settings>
