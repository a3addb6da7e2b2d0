// The stream of `journalctl --output=export`, cut into whole entries. An entry is fields, then an empty line:
//
//   NAME=value\n                                         a value without line ends
//   NAME\n  length u64 little-endian  value bytes  \n    any other: it may hold whatever looks like the end of an entry
//
// (systemd, "Journal Export Format".) Anybody on the machine may log; so a value is passed over by its length, never
// searched.
const NEWLINE = 0x0a
const EQUALS = 0x3d
const CURSOR = Buffer.from('__CURSOR=')

/** An entry that is longer is given out in parts: it stays whole in the file, only not at once. */
export const ENTRY_BYTES_MAX = 8 * 1024 * 1024

export class JournalEntries {
  #rest: Buffer = Buffer.alloc(0)
  /** In `rest`: what was looked at already. */
  #at = 0
  /** Bytes of a value that are still to come, its line end included. */
  #valueBytes = 0
  #entryCursor: string | undefined
  /** Of the last whole entry. */
  cursor: string | undefined

  /** The bytes of the entries that are whole now. */
  push(chunk: Buffer): Buffer {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = this.#at
    let whole = 0
    while (at < bytes.length) {
      if (this.#valueBytes > 0) {
        const taken = Math.min(this.#valueBytes, bytes.length - at)
        this.#valueBytes -= taken
        at += taken
        continue
      }
      const newline = bytes.indexOf(NEWLINE, at)
      if (newline < 0) break
      if (newline === at) {
        this.cursor = this.#entryCursor ?? this.cursor
        this.#entryCursor = undefined
        at = whole = newline + 1
        continue
      }
      const equals = bytes.subarray(at, newline).indexOf(EQUALS)
      if (equals < 0) {
        if (bytes.length < newline + 9) break
        this.#valueBytes = Number(bytes.readBigUInt64LE(newline + 1)) + 1
        at = newline + 9
        continue
      }
      if (bytes.subarray(at, at + CURSOR.length).equals(CURSOR)) {
        this.#entryCursor = bytes.toString('latin1', at + CURSOR.length, newline)
      }
      at = newline + 1
    }
    if (whole === 0 && at > ENTRY_BYTES_MAX) whole = at
    this.#rest = Buffer.from(bytes.subarray(whole))
    this.#at = at - whole
    return bytes.subarray(0, whole)
  }
}
