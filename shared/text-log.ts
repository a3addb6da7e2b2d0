// Log as text: for eyes on a terminal, JSON lines otherwise. One line per fact, whatever is in the fields.
//   05:54:44.120 warn  link lost  buck=10.0.0.7:7700 failures=3 error="connect ECONNREFUSED"
//   {"level":"warn","time":"2026-03-01T05:54:44.120Z","buck":"10.0.0.7:7700","failures":3,"error":"…","fact":"link lost"}
import type { Writable } from 'node:stream'
import pino from 'pino'
import type { Log } from './world.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
const LEVELS: LogLevel[] = ['debug', 'info', 'warn', 'error']
/** A longer value is cut: a log line is for people, and its source may be a peer. */
const VALUE_CHARACTERS_MAX = 2000

export function textLog(stream: Writable & { isTTY?: boolean }, level: LogLevel = 'info'): Log {
  // Whoever read the log is gone. A process that ships lines goes on without it, and there is nobody left to tell.
  stream.on('error', () => undefined)
  return stream.isTTY ? humanLog(stream, level) : jsonLog(stream, level)
}

function humanLog(stream: Writable, least: LogLevel): Log {
  return eachLevel((level, fact, fields) => {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return
    const time = new Date().toISOString().slice(11, 23)
    const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${readable(value)}`)
    stream.write(
      `${escapeControls(`${time} ${level.padEnd(5)} ${fact}${rest.length > 0 ? ' ' : ''}${rest.join('')}`)}\n`,
    )
  })
}

function jsonLog(stream: Writable, least: LogLevel): Log {
  const destination = { write: (line: string) => stream.write(`${escapeControls(line.trimEnd())}\n`) }
  const logger = pino(
    {
      level: least,
      base: null,
      messageKey: 'fact',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    destination,
  )
  return eachLevel((level, fact, fields) => {
    const plain = Object.entries(fields).map(([name, value]) => [name, plainValue(value)])
    logger[level](Object.fromEntries(plain), fact)
  })
}

function eachLevel(write: (level: LogLevel, fact: string, fields: Record<string, unknown>) => void): Log {
  return {
    debug: (fact, fields = {}) => write('debug', fact, fields),
    info: (fact, fields = {}) => write('info', fact, fields),
    warn: (fact, fields = {}) => write('warn', fact, fields),
    error: (fact, fields = {}) => write('error', fact, fields),
  }
}

/** With its causes, outermost first. */
function errorText(error: Error): string {
  const cause = error.cause instanceof Error && error.cause !== error ? `: ${errorText(error.cause)}` : ''
  const message = error.message || error.name
  return message.endsWith(cause.slice(2)) ? message : message + cause
}

function plainValue(value: unknown): unknown {
  if (value instanceof Error) return cut(errorText(value))
  if (typeof value === 'string') return cut(value)
  if (typeof value === 'bigint') return value.toString()
  if (ArrayBuffer.isView(value))
    return cut(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex'))
  return value
}

function readable(value: unknown): string {
  const plain = plainValue(value)
  if (typeof plain === 'string') return /^[^\s"=]+$/.test(plain) ? plain : JSON.stringify(plain)
  if (typeof plain !== 'object' || plain === null) return String(plain)
  return cut(JSON.stringify(plain, (_, inner) => plainValue(inner)))
}

function cut(text: string): string {
  return text.length <= VALUE_CHARACTERS_MAX ? text : `${text.slice(0, VALUE_CHARACTERS_MAX)}…`
}

/** What a terminal would obey, C1 controls and changes of writing direction included, becomes visible. */
function escapeControls(text: string): string {
  return text.replace(
    /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
