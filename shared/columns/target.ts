// The two forms of the core: one WebAssembly instance, or the modules of core/ as they are. Either holds one memory, so
// one block at a time; calls are synchronous, so nobody else can come between.
import { readFileSync } from 'node:fs'
import {
  decode,
  encode,
  encodeEvents,
  fillKnown,
  placeEvents,
  placeKnown,
  placeStreams,
  placeText,
} from './core/main.ts'
import { forgetMemory, memoryBuffer } from './core/memory.ts'
import { forgetTables } from './core/places.ts'
import { coreSourcesHash, sourcesHashOf } from './sources.ts'

export interface Core {
  readonly target: 'wasm' | 'js'
  /** Changes when the memory grows: ask after each call. */
  readonly memory: ArrayBuffer
  placeText(bytes: number): number
  encode(bytes: number, options: number): number
  /** For lines of the text that was encoded last, as core/known-lines.ts says. */
  placeKnown(moreRows: number, lineBytesMax: number): number
  fillKnown(line: number, to: number, row: number, span: number): number
  /** For events of the text that was encoded last. */
  placeEvents(count: number): number
  encodeEvents(): void
  placeStreams(): number
  decode(bytes: number): number
  /** Gives the memory back; all views of it are void. */
  forget(): void
}

/** Written by `npm run build` and after `npm ci` (bin/build-wasm.ts). */
const WASM_FILE = new URL('./columns.wasm', import.meta.url)

type Calls =
  | 'placeText'
  | 'encode'
  | 'placeKnown'
  | 'fillKnown'
  | 'placeEvents'
  | 'encodeEvents'
  | 'placeStreams'
  | 'decode'
type Exports = Pick<Core, Calls> & { memory: WebAssembly.Memory }

/** Undefined where the file was not built, was built of other sources, or this Node does not take it. */
export function openWasmCore(): Core | undefined {
  let module: WebAssembly.Module
  try {
    module = new WebAssembly.Module(readFileSync(WASM_FILE))
  } catch {
    return undefined
  }
  const sources = coreSourcesHash()
  if (sources !== undefined && sources !== sourcesHashOf(module)) return undefined
  const instantiate = () => new WebAssembly.Instance(module, {}).exports as unknown as Exports
  let wasm = instantiate()
  return {
    target: 'wasm',
    get memory() {
      return wasm.memory.buffer
    },
    placeText: bytes => wasm.placeText(bytes),
    encode: (bytes, options) => wasm.encode(bytes, options),
    placeKnown: (moreRows, lineBytesMax) => wasm.placeKnown(moreRows, lineBytesMax),
    fillKnown: (line, to, row, span) => wasm.fillKnown(line, to, row, span),
    placeEvents: count => wasm.placeEvents(count),
    encodeEvents: () => wasm.encodeEvents(),
    placeStreams: () => wasm.placeStreams(),
    decode: bytes => wasm.decode(bytes),
    forget: () => {
      wasm = instantiate()
    },
  }
}

export function openJsCore(): Core {
  return {
    target: 'js',
    get memory() {
      return memoryBuffer()
    },
    placeText,
    encode,
    placeKnown,
    fillKnown,
    placeEvents,
    encodeEvents,
    placeStreams,
    decode,
    forget: () => {
      forgetMemory()
      forgetTables()
    },
  }
}
