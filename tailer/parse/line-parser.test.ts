import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'tap'
import { LEVELS } from '../../shared/events.ts'
import { LineParser } from './line-parser.ts'

const READ_MS = Date.parse('2025-03-01T12:00:00Z')

interface Told {
  /** ISO in UTC with nine digits; undefined: guessed. */
  time: string | undefined
  level: string
  host: string
  app: string
}

function parse(line: string | Buffer, options: { zone?: string; readMs?: number; parser?: LineParser } = {}): Told {
  const parser = options.parser ?? new LineParser({ zone: options.zone })
  // Other bytes before and behind: nothing outside the line may count.
  const bytes = Buffer.concat([Buffer.from('9 ERROR '), Buffer.from(line), Buffer.from('123 [error] 2001')])
  parser.parse(bytes, 8, bytes.length - 16, options.readMs ?? READ_MS)
  return {
    time: parser.timeIsGuessed ? undefined : iso(parser.timeNs),
    level: LEVELS[parser.level],
    host: parser.host,
    app: parser.app,
  }
}

function iso(ns: bigint): string {
  const date = new Date(Number(ns / 1_000_000_000n) * 1000)
  return `${date.toISOString().slice(0, 19)}.${String(ns % 1_000_000_000n).padStart(9, '0')}`
}

function told(time: string | undefined, level = '', host = '', app = ''): Told {
  return { time: time && (time.includes('.') ? time.padEnd(29, '0') : `${time}.000000000`), level, host, app }
}

const EXAMPLES: Record<string, [line: string, expected: Told][]> = {
  'ISO 8601 and RFC 3339': [
    ['2024-01-02T03:04:05Z hello', told('2024-01-02T03:04:05')],
    ['2024-01-02T03:04:05.678Z INFO hello', told('2024-01-02T03:04:05.678', 'info')],
    ['2024-01-02 03:04:05,678 [WARN] hello', told('2024-01-02T03:04:05.678', 'warn')],
    ['2024-01-02T03:04:05.123456789+01:00 x', told('2024-01-02T02:04:05.123456789')],
    ['2024-01-02T03:04:05.1234567891234-0130 x', told('2024-01-02T04:34:05.123456789')],
    ['2024-01-02 03:04:05 +0200 DEBUG x', told('2024-01-02T01:04:05', 'debug')],
    ['2024-01-02 03:04:05.5 UTC [7] FATAL:  x', told('2024-01-02T03:04:05.5', 'fatal')],
    ['2024-01-02t03:04:05z', told('2024-01-02T03:04:05')],
    ['  2024-01-02 03:04:05 error: x', told('2024-01-02T03:04:05', 'error')],
    ['\ufeff2024-01-02 03:04:05 x', told('2024-01-02T03:04:05')],
    ['[2024-01-02T03:04:05Z][info] x', told('2024-01-02T03:04:05', 'info')],
    ['"2024-01-02 03:04:05","ERROR","x"', told('2024-01-02T03:04:05', 'error')],
    ['INFO 2024-01-02 03:04:05 x', told('2024-01-02T03:04:05', 'info')],
    ['[INFO] [2024-01-02 03:04:05] x', told('2024-01-02T03:04:05', 'info')],
    ['\x1b[33mWARN\x1b[0m \x1b[2m2024-01-02T03:04:05Z\x1b[0m x', told('2024-01-02T03:04:05', 'warn')],
    ['web_1  | 2024-01-02T03:04:05Z ERROR x', told('2024-01-02T03:04:05', 'error')],
    ['time="2024-01-02T03:04:05Z" level=warning msg=x', told('2024-01-02T03:04:05', 'warn')],
    ['level=info ts=2024-01-02T03:04:05.25Z msg="ERROR in x"', told('2024-01-02T03:04:05.25', 'info')],
    ['lvl=dbg t=1704164645.5 msg=x', told('2024-01-02T03:04:05.5', 'debug')],
    ['2024-01-02T03:04:05.123456789Z stdout F hello', told('2024-01-02T03:04:05.123456789')],
    ['2016-12-31T23:59:60Z leap second', told('2017-01-01T00:00:00')],
    ['2024-02-29 00:00:00 leap day', told('2024-02-29T00:00:00')],
  ],
  'no time where there is none': [
    ['', told(undefined)],
    ['\n', told(undefined)],
    ['hello', told(undefined)],
    ['\tat org.x.Y.z(Y.java:12)', told(undefined)],
    ['2023-02-29 00:00:00 no such day', told(undefined)],
    ['2024-13-01 00:00:00', told(undefined)],
    ['2024-01-02 24:00:00', told(undefined)],
    ['2024-01-02 03:04:051', told(undefined)],
    ['2024-01-02', told(undefined)],
    ['1869-01-02 03:04:05', told(undefined)],
    ['Restored backup of 2023-01-01 00:00:00 from disk', told(undefined)],
    ['Expires: 2030-01-01T00:00:00Z', told(undefined)],
    ['the range is 1 2 3 4 2023-01-01 00:00:00', told(undefined)],
    ['see [10/Oct/2000:13:55:36 -0700] for more', told(undefined)],
    ['Oct 32 22:14:15 host app: x', told(undefined)],
    ['May the force be with you', told(undefined)],
    ['12345678 too short', told(undefined)],
    ['1704164645', told(undefined)],
    ['17/06/09 20:10:40 who knows which order', told(undefined)],
    ['ERROR without a time', told(undefined, 'error')],
    [`${'x'.repeat(600)} 2024-01-02T03:04:05Z`, told(undefined)],
  ],
  'syslog, RFC 3164': [
    ['<34>Oct 11 22:14:15 mymachine su: failed', told('2024-10-11T22:14:15', 'critical', 'mymachine', 'su')],
    ['Jan  2 03:04:05 web1 nginx[12]: x', told('2025-01-02T03:04:05', '', 'web1', 'nginx')],
    ['Jan 2 03:04:05 web1 kernel: x', told('2025-01-02T03:04:05', '', 'web1', 'kernel')],
    ['Jun 14 15:16:01 combo sshd(pam_unix)[19939]: x', told('2024-06-14T15:16:01', '', 'combo', 'sshd')],
    ['Dec 10 06:55:46 LabSZ sshd[24200]: error: x', told('2024-12-10T06:55:46', 'error', 'LabSZ', 'sshd')],
    ['Jan  2 03:04:05.123 h systemd[1]: x', told('2025-01-02T03:04:05.123', '', 'h', 'systemd')],
    ['Jan  2 2020 03:04:05 h app: x', told('2020-01-02T03:04:05', '', 'h', 'app')],
    ['Jan  2 03:04:05 combo  -- root[2421]: x', told('2025-01-02T03:04:05', '', 'combo')],
    ['<13>app[7]: said to /dev/log', told(undefined, 'notice', '', 'app')],
    ['<999>Jan  2 03:04:05 h a: x', told(undefined)],
    ['2024-01-02T03:04:05.123456+01:00 web1 cron[7]: x', told('2024-01-02T02:04:05.123456', '', 'web1', 'cron')],
    ['2024-01-02T03:04:05.123456+01:00 web1 kernel: x', told('2024-01-02T02:04:05.123456', '', 'web1', 'kernel')],
    ['2024-01-02T03:04:05Z worker started: x', told('2024-01-02T03:04:05')],
    ['2024-01-02T03:04:05+01:00 INFO main[7]: x', told('2024-01-02T02:04:05', 'info')],
  ],
  'syslog, RFC 5424': [
    [
      '<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [x@1 y="z"] m',
      told('2003-10-11T22:14:15.003', 'notice', 'mymachine.example.com', 'evntslog'),
    ],
    ['<0>1 - - - - - -', told(undefined, 'fatal')],
    ['<11>1 2024-01-02T03:04:05.000003-07:00 h - 8710 - - m', told('2024-01-02T10:04:05.000003', 'error', 'h')],
    ['<11>1 2024-01-02T03:04:05Z h', told('2024-01-02T03:04:05', 'error', 'h')],
  ],
  'Apache and nginx': [
    ['127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /ERROR HTTP/1.0" 200 2326', told('2000-10-10T20:55:36')],
    ['1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET /ERROR/level=warn HTTP/1.0" 200', told('2000-10-10T13:55:36')],
    ['::1 - - [10/Oct/2000:13:55:36 +0000] 404', told('2000-10-10T13:55:36')],
    ['[Sun Dec 04 04:47:44 2005] [error] mod_jk', told('2005-12-04T04:47:44', 'error')],
    ['[Fri Sep 09 10:42:29.902022 2011] [core:warn] [pid 3:tid 4] x', told('2011-09-09T10:42:29.902022', 'warn')],
    ['2024/01/02 03:04:05 [crit] 12#12: *1 x', told('2024-01-02T03:04:05', 'critical')],
    ['Sun Dec  4 04:47:44 2005 x', told('2005-12-04T04:47:44')],
  ],
  'Java and its kin': [
    ['2015-10-18 18:01:47,978 INFO [main] org.x.Y: ERROR', told('2015-10-18T18:01:47.978', 'info')],
    ['2015-07-29 17:41:44,747 - WARN  [Q] - x', told('2015-07-29T17:41:44.747', 'warn')],
    ['081109 203615 148 INFO dfs.DataNode$PacketResponder: x', told('2008-11-09T20:36:15', 'info')],
    ['17/06/09 20:10:40 ERROR executor.X: x', told('2017-06-09T20:10:40', 'error')],
    [
      'nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO nova.osapi x',
      told('2017-05-16T00:00:00.008', 'info', '', 'nova-api'),
    ],
  ],
  'JSON lines': [
    [
      '{"time":"2024-01-02T03:04:05.5Z","level":"warn","host":"h","app":"a","msg":"ERROR"}',
      told('2024-01-02T03:04:05.5', 'warn', 'h', 'a'),
    ],
    [
      '{"level":30,"time":1704164645123,"pid":1,"hostname":"h","name":"n"}',
      told('2024-01-02T03:04:05.123', 'info', 'h', 'n'),
    ],
    ['{"ts":1704164645.25,"level":"error","logger":"l"}', told('2024-01-02T03:04:05.25', 'error', '', 'l')],
    ['{"t":1704164645123456}', told('2024-01-02T03:04:05.123456')],
    ['{"timestamp":"1704164645123456789"}', told('2024-01-02T03:04:05.123456789')],
    [
      '{ "a" : {"time":"2001-01-01T00:00:00Z","b":[1,"]}"]} , "service" : "s", "lvl" : "dbg" }',
      told(undefined, 'debug', '', 's'),
    ],
    [
      '{"time":"2001-01-01T00:00:00Z","@timestamp":"2024-01-02T03:04:05Z","log.level":"info","service.name":"s"}',
      told('2024-01-02T03:04:05', 'info', '', 's'),
    ],
    ['{"name":"n","app":"a","host":{"name":"x"}}', told(undefined, '', 'x', 'a')],
    ['{"severity":"INFO","time":"yesterday","ts":1704164645}', told('2024-01-02T03:04:05', 'info')],
    ['{"time":"2024-01-02T03:04:05Z","elapsed":1', told('2024-01-02T03:04:05')],
    ['{"msg":"a \\"quoted\\" \\\\","time":"2024-01-02T03:04:05Z"}', told('2024-01-02T03:04:05')],
    ['{"time":12.5,"t":null,"level":99}', told(undefined)],
    ['{"host":"caf\u00e9","app":"\u6f22\u5b57"}', told(undefined, '', 'caf\u00e9', '\u6f22\u5b57')],
    [`{"x":"${'y'.repeat(20_000)}","time":"2024-01-02T03:04:05Z"}`, told(undefined)],
    [`{"x":"${'y'.repeat(10_000)}","time":"2024-01-02T03:04:05Z"}`, told('2024-01-02T03:04:05')],
  ],
  'seconds and their parts since 1970, at the start': [
    ['1704164645 x', told('2024-01-02T03:04:05')],
    ['1704164645.123 200 10.0.0.1 TCP_HIT', told('2024-01-02T03:04:05.123')],
    ['1704164645123 WARN x', told('2024-01-02T03:04:05.123', 'warn')],
    ['[1704164645] x', told('2024-01-02T03:04:05')],
  ],
  'rarer ways to write a time': [
    ['20240102T030405.678Z INFO x', told('2024-01-02T03:04:05.678', 'info')],
    ['20240102 03:04:05,678 WARN x', told('2024-01-02T03:04:05.678', 'warn')],
    ['20171223-22:15:29:606|Step_LSC|30002312|onStandStepChanged 3579', told('2017-12-23T22:15:29.606')],
    ['2024-01-02T03:04Z x', told('2024-01-02T03:04:00')],
    ['2024-01-02 03:04 x', told('2024-01-02T03:04:00')],
    ['2024-01-02 03:04:05.678+00 ERROR x', told('2024-01-02T03:04:05.678', 'error')],
    ['2024-01-02 03:04:05.678 CET [7] LOG:  x', told('2024-01-02T02:04:05.678')],
    ['2024-01-02 03:04:05 PDT FATAL:  x', told('2024-01-02T10:04:05', 'fatal')],
    ['2024-01-02 03:04:05:678 x', told('2024-01-02T03:04:05.678')],
    ['2024-01-02 03:04:05: 678 files', told('2024-01-02T03:04:05')],
    ['2024-01-02\t03:04:05\tLAX1\t2390282\t192.0.2.202', told('2024-01-02T03:04:05')],
    ['2024-01-02  3:04:05 0 [Note] InnoDB: x', told('2024-01-02T03:04:05', 'notice')],
    ['240102  3:04:05 [Warning] x', told('2024-01-02T03:04:05', 'warn')],
    ['2024-01-02-03.04.05.678901 x', told('2024-01-02T03:04:05.678901')],
    [
      '- 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.675872 R02-M1-N0-C:J12-U11 RAS KERNEL INFO x',
      told('2005-06-03T15:42:50.675872', 'info'),
    ],
    ['2024.01.02 03:04:05 x', told('2024-01-02T03:04:05')],
    ['02-Jan-2024 03:04:05.678 WARNING [main] org.x.Y z', told('2024-01-02T03:04:05.678', 'warn')],
    ['02-Jan-2024 03:04:05.678 queries: info: client x', told('2024-01-02T03:04:05.678')],
    ['02 Jan 2024 03:04:05,678 ERROR x', told('2024-01-02T03:04:05.678', 'error')],
    ['06 Nov 1994 15:49:37,459 x', told('1994-11-06T15:49:37.459')],
    ['[02-Jan-2024 03:04:05 UTC] PHP Warning:  x', told('2024-01-02T03:04:05', 'warn')],
    ['[02-Jan-2024 03:04:05 UTC] PHP Fatal error:  Uncaught x', told('2024-01-02T03:04:05', 'fatal')],
    ['02.01.2024 03:04:05 x', told('2024-01-02T03:04:05')],
    ['1/2/2024 3:04:05 PM Information x', told('2024-01-02T15:04:05')],
    ['01/02/2024 12:04:05 AM x', told('2024-01-02T00:04:05')],
    ['01/02/2024 03:04:05 x', told(undefined)],
    ['Jan 02, 2024 3:04:05 PM org.x.Y z', told('2024-01-02T15:04:05')],
    ['Tue, 02 Jan 2024 03:04:05 +0100 x', told('2024-01-02T02:04:05')],
    ['Tue Jan  2 03:04:05 CET 2024 x', told('2024-01-02T02:04:05')],
    ['1234:M 02 Jan 2024 03:04:05.678 # WARNING overcommit', told('2024-01-02T03:04:05.678', 'warn')],
    ['1234:M 02 Jan 2024 03:04:05.678 * Ready', told('2024-01-02T03:04:05.678', 'notice')],
    ['@4000000065937d2f075bcd15 x', told('2024-01-02T03:04:05.123456789')],
  ],
  'a letter for the level': [
    ['I0102 03:04:05.678901    1234 file.go:12] x', told('2025-01-02T03:04:05.678901', 'info')],
    ['E1231 23:59:59.000001       1 reflector.go:138] x', told('2024-12-31T23:59:59.000001', 'error')],
    ['W20240102 03:04:05.678901  1234 file.cc:12] x', told('2024-01-02T03:04:05.678901', 'warn')],
    ['[I 240102 03:04:05 web:2246] 200 GET /', told('2024-01-02T03:04:05', 'info')],
    ['I, [2024-01-02T03:04:05.123456 #1234]  INFO -- : x', told('2024-01-02T03:04:05.123456', 'info')],
    ['E, [2024-01-02T03:04:05.123456 #1234] ERROR -- prog: x', told('2024-01-02T03:04:05.123456', 'error')],
    ['03-01 03:04:05.678  1234  1240 W ActivityManager: x', told('2025-03-01T03:04:05.678', 'warn')],
    ['2024-01-02T03:04:05.678+0100 E STORAGE  [conn1] x', told('2024-01-02T02:04:05.678', 'error')],
    ['I am no level', told(undefined)],
    ['E1231 is a number', told(undefined)],
  ],
  'no day': [
    ['11:04:05.678 [main] ERROR com.x.Y - z', told('2025-03-01T11:04:05.678', 'error')],
    ['13:04:05,678 DEBUG x', told('2025-02-28T13:04:05.678', 'debug')],
    ['[11:04:05 INF] x', told('2025-03-01T11:04:05', 'info')],
    ['11:04:05 elapsed', told(undefined)],
  ],
  'Python, Go, Node, Ruby, .NET, Windows': [
    ['2024-01-02 03:04:05,678 - name.of - WARNING - x', told('2024-01-02T03:04:05.678', 'warn')],
    ['WARNING:root:x', told(undefined, 'warn')],
    ['2009/11/10 23:00:00.123456 file.go:23: x', told('2009-11-10T23:00:00.123456')],
    ['app: 2009/11/10 23:00:00 x', told('2009-11-10T23:00:00')],
    ['2009/11/10 23:00:00 INFO x', told('2009-11-10T23:00:00', 'info')],
    [
      'time=2024-01-02T03:04:05.678Z level=INFO msg="a host=no b" host=web1 service=shop',
      told('2024-01-02T03:04:05.678', 'info', 'web1', 'shop'),
    ],
    ['2024-01-02T03:04:05.678+0100\tinfo\tserver/x.go:12\tmsg', told('2024-01-02T02:04:05.678', 'info')],
    ['info: Microsoft.Hosting.Lifetime[14]', told(undefined, 'info')],
    ['fail: Microsoft.AspNetCore.Server.Kestrel[13]', told(undefined, 'error')],
    ['2024-01-02 03:04:05.678 +01:00 [FTL] x', told('2024-01-02T02:04:05.678', 'fatal')],
    ['2024-01-02 03:04:05.6789|WARN|Class|x', told('2024-01-02T03:04:05.678900', 'warn')],
    ['2016-09-28 04:30:30, Info                  CBS    Loaded x', told('2016-09-28T04:30:30', 'info')],
    ['2024-01-02 03:04:05 W3SVC1 10.0.0.1 GET /ERROR', told('2024-01-02T03:04:05', 'error')],
  ],
  'other writers': [
    ['[2024-01-02T03:04:05.678Z] "GET /ERROR HTTP/1.1" 200', told('2024-01-02T03:04:05.678')],
    ['https 2024-01-02T03:04:05.678901Z app/lb/5 192.0.2.1:1 x', told('2024-01-02T03:04:05.678901')],
    ['web  | 2024-01-02T03:04:05Z ERROR x', told('2024-01-02T03:04:05', 'error')],
    ['<189>29: sw1: *Mar  1 11:46:11.123: %SYS-5-CONFIG_I: x', told('2025-03-01T11:46:11.123', 'notice', 'sw1')],
    ['*Feb  1 18:46:11: %LINK-3-UPDOWN: x', told('2025-02-01T18:46:11', 'error')],
  ],
  containers: [
    ['2024-01-02T03:04:05.123456789Z stdout F ERROR x', told('2024-01-02T03:04:05.123456789', 'error')],
    [
      '2024-01-02T03:04:05.123456789Z stderr F {"level":"warn","time":"2001-01-01T00:00:00Z","app":"a"}',
      told('2024-01-02T03:04:05.123456789', 'warn', '', 'a'),
    ],
    ['2024-01-02T03:04:05.1Z stdout F I0102 03:04:05.678901 1 f.go:1] x', told('2024-01-02T03:04:05.1', 'info')],
    [
      '2024-01-02T03:04:05.1Z stdout F 1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET /ERROR HTTP/1.0" 200',
      told('2024-01-02T03:04:05.1'),
    ],
    ['2024-01-02T03:04:05.1Z stdout P', told('2024-01-02T03:04:05.1')],
    [
      '{"log":"2001-01-01 00:00:00 WARN x\\n","stream":"stdout","time":"2024-01-02T03:04:05.123456789Z"}',
      told('2024-01-02T03:04:05.123456789', 'warn'),
    ],
    [
      '{"log":"1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] \\"GET /ERROR\\" 200\\n","stream":"stdout","time":"2024-01-02T03:04:05Z"}',
      told('2024-01-02T03:04:05'),
    ],
    [
      '{"log":"{\\"level\\":\\"error\\",\\"x\\":1}\\n","stream":"stderr","time":"2024-01-02T03:04:05Z"}',
      told('2024-01-02T03:04:05', 'error'),
    ],
  ],
  'entries of the journal': [
    [
      '__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1704164645123456\nPRIORITY=4\n_HOSTNAME=h\n_COMM=c\nSYSLOG_IDENTIFIER=a\nMESSAGE=x\n\n',
      told('2024-01-02T03:04:05.123456', 'warn', 'h', 'a'),
    ],
    [
      '__CURSOR=s=1\n__REALTIME_TIMESTAMP=1704164645123456\n_SOURCE_REALTIME_TIMESTAMP=1704164645000001\n_COMM=c\n',
      told('2024-01-02T03:04:05.000001', '', '', 'c'),
    ],
    ['__CURSOR=s=1', told(undefined)],
    [
      '{"__REALTIME_TIMESTAMP":"1704164645123456","PRIORITY":"3","_HOSTNAME":"h","SYSLOG_IDENTIFIER":"a"}',
      told('2024-01-02T03:04:05.123456', 'error', 'h', 'a'),
    ],
  ],
  'JSON of many writers': [
    ['{"Timestamp":"2024-01-02T03:04:05.6+01:00","Level":"Warning"}', told('2024-01-02T02:04:05.6', 'warn')],
    ['{"@t":"2024-01-02T03:04:05.6789012Z","@l":"Error"}', told('2024-01-02T03:04:05.678901200', 'error')],
    [
      '{"@timestamp":"2024-01-02T03:04:05.678Z","log":{"level":"WARN","logger":"l"},"host":{"name":"h"},"service":{"id":1,"name":"s"}}',
      told('2024-01-02T03:04:05.678', 'warn', 'h', 's'),
    ],
    [
      '{"t":{"$date":"2024-01-02T03:04:05.678+00:00"},"s":"W",  "c":"NETWORK", "id":22943}',
      told('2024-01-02T03:04:05.678', 'warn'),
    ],
    [
      '{"instant":{"epochSecond":1704164645,"nanoOfSecond":123456789},"level":"INFO","loggerName":"l"}',
      told('2024-01-02T03:04:05.123456789', 'info', '', 'l'),
    ],
    ['{"timestamp":{"seconds":1704164645,"nanos":7},"severity":"INFO"}', told('2024-01-02T03:04:05.000000007', 'info')],
    ['{"timeMillis":1704164645123,"level":"FATAL"}', told('2024-01-02T03:04:05.123', 'fatal')],
    [
      '{"asctime":"2024-01-02 03:04:05,678","levelname":"CRITICAL","name":"n"}',
      told('2024-01-02T03:04:05.678', 'critical', '', 'n'),
    ],
    ['{"s":3,"t":{"x":{"$date":"2024-01-02T03:04:05Z"}},"log":{"level":{"x":1}},"host":[1]}', told(undefined)],
    ['{"time":"2024-01-02T03:04:05Z","t":{"$date":"2001-', told('2024-01-02T03:04:05')],
  ],
}

for (const [form, examples] of Object.entries(EXAMPLES)) {
  test(`${form}: time, level, host and application are told`, async t => {
    for (const [line, expected] of examples) t.strictSame(parse(line), expected, line.slice(0, 100))
  })
}

test('the line end is no part of what is told', async t => {
  for (const end of ['\n', '\r\n', '\r']) {
    t.strictSame(parse(`<13>1 2024-01-02T03:04:05Z h a${end}`), told('2024-01-02T03:04:05', 'notice', 'h', 'a'))
    t.strictSame(parse(`{"host":"h"}${end}`), told(undefined, '', 'h'))
    t.strictSame(parse(`INFO${end}`), told(undefined, 'info'))
  }
})

test('a line without a time takes that of the line before, the first one the read time', async t => {
  const parser = new LineParser()
  parse('no time', { parser })
  t.equal(parser.timeNs, BigInt(READ_MS) * 1_000_000n)
  t.equal(parser.timeIsGuessed, true)
  parse('1970-01-01T00:00:00Z', { parser })
  t.equal(parser.timeNs, 0n)
  parse('2024-01-02T03:04:05.000000007Z', { parser })
  parse('\tat x', { parser, readMs: READ_MS + 5000 })
  t.equal(iso(parser.timeNs), '2024-01-02T03:04:05.000000007')
  t.equal(parser.timeIsGuessed, true)
  parse('2024-01-02T03:04:05Z', { parser })
  t.equal(iso(parser.timeNs), '2024-01-02T03:04:05.000000000')
  t.equal(parser.timeIsGuessed, false)
})

test('a time without a year is the latest that is not more than a day after the read time', async t => {
  const year = (line: string, read: string, zone?: string) =>
    parse(`${line} h a: x`, { readMs: Date.parse(read), zone }).time?.slice(0, 10)
  t.equal(year('Dec 31 23:59:59', '2025-01-01T00:00:01Z'), '2024-12-31')
  t.equal(year('Jan  1 00:00:01', '2025-01-01T00:00:01Z'), '2025-01-01')
  t.equal(year('Jan  1 00:00:01', '2024-12-31T23:59:59Z'), '2025-01-01', 'its clock is a little ahead')
  t.equal(year('Jan  2 00:00:01', '2024-12-31T00:00:00Z'), '2024-01-02', 'too far ahead: last year')
  t.equal(year('Feb 29 00:00:00', '2025-03-01T00:00:00Z'), '2024-02-29')
  t.equal(year('Feb 29 00:00:00', '2024-02-29T00:00:00Z'), '2024-02-29')
  t.equal(year('Feb 29 00:00:00', '2024-02-01T00:00:00Z'), '2020-02-29')
  t.equal(year('Feb 29 00:00:00', '2103-02-01T00:00:00Z'), '2096-02-29')
  t.equal(year('Dec 31 20:00:00', '2025-01-01T03:00:00Z', 'America/New_York'), '2025-01-01')
})

test('a time without a day has that of the line before it, over midnight, and never one after its file was written', async t => {
  const parser = new LineParser()
  const readMs = Date.parse('2025-03-10T12:00:00Z')
  const day = (clock: string, written?: { last: string; isFresh: boolean }) => {
    parser.written = written && { lastMs: Date.parse(written.last), isFresh: written.isFresh }
    return parse(`${clock},123 DEBUG x`, { parser, readMs }).time?.slice(0, 19)
  }
  const old = { last: '2025-03-05T18:00:00Z', isFresh: false }
  t.equal(day('23:59:58', old), '2025-03-04T23:59:58', 'nothing before it: the latest by when the file was written')
  t.equal(day('00:00:01', old), '2025-03-05T00:00:01', 'past midnight')
  t.equal(day('23:59:59', old), '2025-03-04T23:59:59', 'a line that came late')
  t.equal(day('09:00:00', old), '2025-03-05T09:00:00')
  t.equal(day('17:59:00', old), '2025-03-05T17:59:00')
  t.equal(day('03:00:00', old), '2025-03-05T03:00:00', 'the next day would be after the last writing')
  parse('2025-03-01 22:00:00,000 INFO x', { parser })
  t.equal(day('23:30:00', old), '2025-03-01T23:30:00', 'a line with a day says which it is')
  t.equal(day('00:30:00', old), '2025-03-02T00:30:00')
  const fresh = { last: '2025-03-09T06:00:00Z', isFresh: true }
  t.equal(day('05:59:59', fresh), '2025-03-09T05:59:59', 'written now, after quiet days')
  t.equal(day('06:30:00', fresh), '2025-03-09T06:30:00', 'its clock is a little ahead')
  t.equal(day('23:30:00', fresh), '2025-03-08T23:30:00')
})

test('times without a zone are in the zone given, with its summer time', async t => {
  const berlin = (line: string) => parse(line, { zone: 'Europe/Berlin' }).time?.slice(0, 19)
  t.equal(berlin('2024-01-15 12:00:00 x'), '2024-01-15T11:00:00')
  t.equal(berlin('2024-07-15 12:00:00 x'), '2024-07-15T10:00:00')
  t.equal(berlin('2024-07-15T12:00:00Z x'), '2024-07-15T12:00:00')
  t.equal(berlin('2024-03-31 01:59:59 x'), '2024-03-31T00:59:59')
  t.equal(berlin('2024-03-31 02:30:00 x'), '2024-03-31T01:30:00', 'an hour that does not exist')
  t.equal(berlin('2024-03-31 03:00:00 x'), '2024-03-31T01:00:00')
  t.equal(berlin('2024-10-27 01:59:59 x'), '2024-10-26T23:59:59')
  t.equal(berlin('2024-10-27 02:30:00 x'), '2024-10-27T00:30:00', 'the first of the two')
  t.equal(berlin('2024-10-27 03:00:00 x'), '2024-10-27T02:00:00')
  t.equal(berlin('Jul 15 12:00:00 h a: x'), '2024-07-15T10:00:00')
  t.equal(parse('2024-01-15 12:00:00 x', { zone: 'Asia/Kathmandu' }).time?.slice(0, 19), '2024-01-15T06:15:00')
  t.equal(parse('2024-10-06 02:15:00 x', { zone: 'Australia/Lord_Howe' }).time?.slice(0, 19), '2024-10-05T15:45:00')
  t.throws(() => new LineParser({ zone: 'Mars/Olympus' }), { name: 'UnknownZoneError' })
})

test('any bytes at all: it never throws, and answers within its ranges', async t => {
  const seed = Number(process.env.SEED ?? 20250301)
  t.comment(`SEED=${seed}`)
  const random = numbers(seed)
  const heads = Object.values(EXAMPLES).flatMap(examples =>
    examples.map(([line]) => Buffer.from(line).subarray(0, 200)),
  )
  const parser = new LineParser({ zone: 'Europe/Berlin' })
  for (let round = 0; round < 30_000; round++) {
    const head = heads[random(heads.length)]
    const line = random(3) === 0 ? Buffer.alloc(random(80)) : Buffer.from(head.subarray(0, random(head.length + 1)))
    const changes = line.length === 0 ? 0 : random(6)
    for (let i = 0; i < changes; i++) line[random(line.length)] = random(256)
    const before = Buffer.from(line)
    parser.parse(line, 0, line.length, READ_MS)
    const isFine =
      typeof parser.timeNs === 'bigint' &&
      BigInt.asIntN(64, parser.timeNs) === parser.timeNs &&
      LEVELS[parser.level] !== undefined &&
      parser.host.length <= 255 &&
      parser.app.length <= 255 &&
      line.equals(before)
    if (!isFine) t.fail(`line ${line.toString('hex')}`)
  }
  t.pass('every line had an answer')
})

test('names outlive the buffer they were read from', async t => {
  const parser = new LineParser()
  const bytes = Buffer.from('<13>1 2024-01-02T03:04:05Z host1 app1 - - - m')
  parser.parse(bytes, 0, bytes.length, READ_MS)
  bytes.fill(0x78)
  const other = Buffer.from('<13>1 2024-01-02T03:04:05Z host1 app1 - - - m')
  t.strictSame([parser.host, parser.app], ['host1', 'app1'])
  parser.parse(other, 0, other.length, READ_MS)
  t.strictSame([parser.host, parser.app], ['host1', 'app1'])
})

test('every line of real logs has a time of its own', async t => {
  const folder = '../shared/data'
  if (!existsSync(folder)) return t.comment(`${folder} is not here: gone on without it`)
  for (const name of readdirSync(folder).filter(file => file.endsWith('.log'))) {
    const bytes = readFileSync(`${folder}/${name}`)
    const parser = new LineParser()
    let lines = 0
    let guessed = 0
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf(0x0a, start) + 1 || bytes.length
      parser.parse(bytes, start, end, READ_MS)
      lines++
      if (parser.timeIsGuessed) guessed++
      start = end
    }
    t.equal(guessed, 0, `${name}: ${lines} lines`)
  }
})

/** Whole numbers below a bound, the same for the same seed (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * below)
  }
}
