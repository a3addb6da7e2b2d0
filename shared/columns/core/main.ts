// What the host calls. The WebAssembly module exports these names.
export { decode, placeStreams } from './decode.ts'
export { encode, placeText } from './encode.ts'
export { encodeEvents, placeEvents } from './events.ts'
export { fillKnown, placeKnown } from './known-lines.ts'
