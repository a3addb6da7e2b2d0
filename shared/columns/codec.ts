// Text into columns and back: the host's side of the core. What the streams hold: docs/formats/columns.md.

import assert from 'node:assert/strict'
import { CorruptBlockError } from '../block.ts'
import type { Events } from '../events.ts'
import { WITH_TOKENS } from './core/encode.ts'
import { FORMAT_BYTES, FORMATS, HEAP, RESULT, SET_BYTES, SETS, STREAM_COUNT, STREAMS } from './core/places.ts'
import { LATER, LENGTH_MASK, STAMP, VARIABLE_BYTES } from './core/variables.ts'
import { type EncodedEvents, encodeEvents } from './encode-events.ts'
import { type KnownMemory, placeKnownMemory } from './known-memory.ts'
import { type Core, openJsCore, openWasmCore } from './target.ts'

/** What a variable is: a word with a digit; the same joined over `.` `:` `-`; a field between spaces or quotes. */
export type Mode = 'words' | 'joined' | 'fields'
export const MODES: readonly Mode[] = ['words', 'joined', 'fields']

/** Nine, in the order of core/places.ts. */
export type Streams = Uint8Array[]

/** Text of one call. */
export const COLUMNS_TEXT_BYTES_MAX = 16 * 1024 * 1024
/**
 * An instance that has grown beyond this is not kept: one large block must not hold its memory for ever. A segment's block
 * of 8 MB fits: memory that is given back and taken again costs a millisecond and a half per MB of text.
 */
const MEMORY_KEPT_BYTES_MAX = 80 * 1024 * 1024
/** Of a longer text, an archive's, nobody asks which lines are known from others. */
const KNOWN_TEXT_BYTES_MAX = 4 * 1024 * 1024
/** `formatOf` a template without a time stamp. */
export const NO_STAMP = 255

/** How a time stamp is written; core/stamps.ts lists the kinds. */
export interface StampFormat {
  kind: number
  /** Digits of the fraction. */
  digits: number
}

export interface AnalysedTemplate {
  /** Lines of it, and the first of them. */
  count: number
  line: number
  variables: number
  /** Which variable of each of its lines is the first time stamp; -1 for none. */
  stampVariable: number
}

/** Of every line its template and its first time stamp: what event columns are told from. */
export interface LineStamps {
  /** 0: the line has no template. Otherwise its number, from 1. */
  readonly templateOf: Uint32Array
  /** As it is written: seconds since 1970 or of the day, fraction in its own unit. */
  readonly stampSeconds: Int32Array
  readonly stampFractions: Int32Array
  /** By number of the template: index into `formats`, or NO_STAMP; [0] is NO_STAMP. */
  readonly formatOf: Uint8Array
  readonly formats: readonly StampFormat[]
}

/** What the encoder found on the way. Views of the codec's memory: valid until its next call. */
export interface Analysis extends LineStamps {
  readonly lines: number
  /** Offset behind the line feed of each line. */
  readonly lineEnds: Uint32Array
  /** By number - 1. */
  readonly templates: readonly AnalysedTemplate[]
  /** Of all lines that have a template. */
  readonly variables: number
  variableCount(line: number): number
  /** Offset in the text. */
  variableStart(line: number, index: number): number
  variableLength(line: number, index: number): number
  /** The variables as core/variables.ts draws them, three words each, for loops over all of them. */
  readonly words: Int32Array
  /** Of each line, times four: index into `words` of its first variable; the others follow. */
  readonly firstVariables: Int32Array
  /** Lines whose template was guessed right. */
  readonly predicted: number
  /** Where lines are known from others (core/known-lines.ts): of a packet's text, without tokens. */
  readonly known: KnownMemory | undefined
  /** Where they were wanted. */
  readonly tokens: Tokens | undefined
}

/**
 * Hashes of the tokens of a text (shared/segment-tokens.ts): tables of open addressing, 0 for an empty place. Undefined
 * where there are too many to be of use.
 */
export interface Tokens {
  /** Without a digit. */
  readonly plain: Int32Array | undefined
  /** With letters and digits. */
  readonly mixed: Int32Array | undefined
}

export interface Encoded {
  readonly mode: Mode
  readonly streams: Streams
  readonly analysis: Analysis
}

/** Text, and its lines as the decoder met them. */
export interface Decoded extends LineStamps {
  text: Buffer
  lineEnds: Uint32Array
}

export interface EncodeOptions {
  mode?: Mode
  /** Also the tokens of the text. */
  tokens?: boolean
}

export interface ColumnsCodec {
  readonly target: 'wasm' | 'js'
  /** Large blocks will follow each other: what one needed is kept for the next. Answers what ends it. */
  holdMemory(): () => void
  /**
   * Text of whole lines (a last one may lack its line feed).
   * @returns undefined if columns do not pay or the text does not fit; what it gives is valid until the next call
   */
  encode(text: Uint8Array, options?: EncodeOptions): Encoded | undefined
  /**
   * What events of a text say beyond it. Ends what `encoded` is good for; its streams come again.
   * @param encoded  what the call before this one gave
   * @returns undefined if there is no memory; what it gives is valid until the next call
   */
  encodeEvents(encoded: Encoded, events: Events): (EncodedEvents & { streams: Streams }) | undefined
  /** @throws CorruptBlockError */
  decode(streams: Streams, textBytes: number): Buffer
  /** The same, with what event columns are told from. Valid until the next call. */
  decodeAll(streams: Streams, textBytes: number): Decoded
}

const PROBLEMS = [
  '',
  'a count is wrong',
  'a template is wrong',
  'a column is wrong',
  'a line is wrong',
  'text is too short',
]

export function createCodec(core: Core): ColumnsCodec {
  let holders = 0
  /** What the core holds now. */
  let current: Encoded | undefined
  const trimMemory = () => {
    current = undefined
    if (holders === 0 && core.memory.byteLength > MEMORY_KEPT_BYTES_MAX) core.forget()
  }

  function holdMemory(): () => void {
    let isHeld = true
    holders++
    return () => {
      if (isHeld) holders--
      isHeld = false
      trimMemory()
    }
  }

  /** No memory, or a fault: either way the text is still there for kind lines. */
  function withoutMemory(error: unknown): undefined {
    core.forget()
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) return undefined
    throw error
  }

  function encode(text: Uint8Array, options: EncodeOptions = {}): Encoded | undefined {
    trimMemory()
    if (text.length === 0 || text.length > COLUMNS_TEXT_BYTES_MAX) return undefined
    const mode = options.mode ?? 'words'
    let known: (() => KnownMemory) | undefined
    try {
      const at = core.placeText(text.length)
      new Uint8Array(core.memory, at, text.length).set(text)
      if (core.encode(text.length, MODES.indexOf(mode) | (options.tokens ? WITH_TOKENS : 0)) !== 1) return undefined
      // Before anything is seen of the memory, which may grow.
      if (!options.tokens && text.length <= KNOWN_TEXT_BYTES_MAX) known = placeKnownMemory(core)
    } catch (error) {
      return withoutMemory(error)
    }
    const { memory } = core
    const analysis = analysisOf(memory, options.tokens ? tokensAt(memory) : undefined, known?.())
    current = { mode, streams: streamsAt(memory), analysis }
    return current
  }

  function encodeEventsOf(encoded: Encoded, events: Events) {
    assert(encoded === current, 'the codec was used for something else since it encoded this text')
    // Room is made there, and where the memory grows, all views of it are gone.
    assert(events.ends.buffer !== core.memory, "events lie in the codec's memory")
    try {
      const encodedEvents = encodeEvents(core, events)
      // The memory may have grown, which voids what was seen of it.
      return { ...encodedEvents, streams: streamsAt(core.memory) }
    } catch (error) {
      return withoutMemory(error)
    }
  }

  function decodeAll(streams: Streams, textBytes: number): Decoded {
    trimMemory()
    if (textBytes > COLUMNS_TEXT_BYTES_MAX) {
      throw new CorruptBlockError(`text of ${textBytes} bytes is over ${COLUMNS_TEXT_BYTES_MAX}`)
    }
    try {
      return decodeInto(core, streams, textBytes)
    } catch (cause) {
      // A trap leaves the instance in no known state.
      if (!(cause instanceof CorruptBlockError)) core.forget()
      if (cause instanceof WebAssembly.RuntimeError) throw new CorruptBlockError('columns end the decoder', { cause })
      throw cause
    }
  }

  return {
    target: core.target,
    holdMemory,
    encode,
    encodeEvents: encodeEventsOf,
    decodeAll,
    decode: (streams, bytes) => decodeAll(streams, bytes).text,
  }
}

function decodeInto(core: Core, streams: Streams, textBytes: number): Decoded {
  // STREAMS lies in the memory's first page.
  const lengths = new Int32Array(core.memory, STREAMS, STREAM_COUNT * 2)
  for (let k = 0; k < STREAM_COUNT; k++) lengths[2 * k + 1] = streams[k].length
  core.placeStreams()
  const table = new Int32Array(core.memory, STREAMS, STREAM_COUNT * 2)
  const bytes = new Uint8Array(core.memory)
  for (let k = 0; k < STREAM_COUNT; k++) bytes.set(streams[k], table[2 * k])
  const result = core.decode(textBytes)
  if (result !== textBytes)
    throw new CorruptBlockError(`columns do not give their text: ${PROBLEMS[-result] ?? result}`)
  const { memory } = core
  const [output, lines, lineTable, templates, formats, templateTable] = new Int32Array(memory, RESULT, 6)
  const words = new Int32Array(memory)
  const column = (k: number) => lineTable + k * lines * 4
  const lineEnds = new Uint32Array(memory, column(0), lines)
  if (lines > 0 && lineEnds[lines - 1] > textBytes) lineEnds[lines - 1] = textBytes
  return {
    text: Buffer.from(memory, output, textBytes),
    lineEnds,
    templateOf: new Uint32Array(memory, column(1), lines),
    stampSeconds: new Int32Array(memory, column(2), lines),
    stampFractions: new Int32Array(memory, column(3), lines),
    formatOf: Uint8Array.from({ length: templates + 1 }, (_, k) =>
      k === 0 ? NO_STAMP : words[(templateTable >> 2) + 4 * k + 3],
    ),
    formats: formatsAt(memory, formats),
  }
}

function streamsAt(memory: ArrayBuffer): Streams {
  const table = new Int32Array(memory, STREAMS, STREAM_COUNT * 2)
  return Array.from({ length: STREAM_COUNT }, (_, k) => {
    return new Uint8Array(memory, table[2 * k], table[2 * k + 1] - table[2 * k])
  })
}

function formatsAt(memory: ArrayBuffer, count: number): StampFormat[] {
  const table = new Int32Array(memory, FORMATS, (count * FORMAT_BYTES) / 4)
  return Array.from({ length: count }, (_, k) => ({ kind: table[k * 4] & 7, digits: table[k * 4 + 1] & 15 }))
}

function tokensAt(memory: ArrayBuffer): Tokens {
  const table = (k: number) => {
    const [at, mask, , areTooMany] = new Int32Array(memory, SETS + k * SET_BYTES, 4)
    return areTooMany ? undefined : new Int32Array(memory, at, mask + 1)
  }
  return { plain: table(0), mixed: table(1) }
}

function analysisOf(memory: ArrayBuffer, tokens?: Tokens, known?: KnownMemory): Analysis {
  const [
    lines,
    templateCount,
    variables,
    starts,
    templateOf,
    firsts,
    seconds,
    fractions,
    shapes,
    formatCount,
    predicted,
    table,
  ] = new Int32Array(memory, RESULT, 12)
  const words = new Int32Array(memory)
  const variableAt = (line: number, index: number) => (words[(firsts >> 2) + line] + index * VARIABLE_BYTES) >> 2
  const variableCount = (line: number) => words[(shapes >> 2) + line] >>> 8
  const templates: AnalysedTemplate[] = []
  const formatOf = new Uint8Array(templateCount + 1).fill(NO_STAMP)
  for (let k = 0; k < templateCount; k++) {
    const line = words[(table >> 2) + 2 * k]
    const count = variableCount(line)
    formatOf[k + 1] = words[(shapes >> 2) + line] & 255
    let stampVariable = -1
    for (let i = 0; i < count && stampVariable < 0; i++) {
      if ((words[variableAt(line, i) + 1] & (STAMP | LATER)) === STAMP) stampVariable = i
    }
    templates.push({ count: words[(table >> 2) + 2 * k + 1], line, variables: count, stampVariable })
  }
  return {
    lines,
    lineEnds: new Uint32Array(memory, starts + 4, lines),
    templateOf: new Uint32Array(memory, templateOf, lines),
    templates,
    stampSeconds: new Int32Array(memory, seconds, lines),
    stampFractions: new Int32Array(memory, fractions, lines),
    formats: formatsAt(memory, formatCount),
    formatOf,
    variables,
    variableCount,
    variableStart: (line, index) => words[variableAt(line, index)] - HEAP,
    variableLength: (line, index) => words[variableAt(line, index) + 1] & LENGTH_MASK,
    words,
    firstVariables: new Int32Array(memory, firsts, lines),
    predicted,
    known,
    tokens,
  }
}

let shared: ColumnsCodec | undefined

/** The codec of this thread: WebAssembly where it was built, else plain JavaScript, a fourth as fast, with a warning. */
export function columnsCodec(): ColumnsCodec {
  if (shared === undefined) {
    const wasm = openWasmCore()
    shared = createCodec(wasm ?? openJsCore())
    if (wasm === undefined) {
      process.emitWarning(
        'columns.wasm is missing, or older than its sources: plain JavaScript does its work (npm run prepare)',
      )
    }
  }
  return shared
}
