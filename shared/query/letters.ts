// What a word is made of, and which letters are alike. Shared by the scan over bytes and the one over characters.

/** Letters, digits, marks and `_`, less the scripts that are written without spaces: there each character is a word. */
const JOINS = /^[\p{L}\p{N}\p{M}_]$/u
const WITHOUT_SPACES = /^[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]$/u

/** True for a character that makes one word with its neighbour, if the neighbour does too. */
export function joins(character: string): boolean {
  return JOINS.test(character) && !WITHOUT_SPACES.test(character)
}

/** `joins` for bytes below 0x80. */
export const ASCII_JOINS = Uint8Array.from({ length: 128 }, (_, byte) => (joins(String.fromCharCode(byte)) ? 1 : 0))

/** A–Z to a–z, all other bytes to themselves. */
export const ASCII_FOLD = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte,
)

/**
 * Lower case, character by character and one for one: offsets stay, context (final sigma) plays no part, and ASCII stays
 * apart from the rest (the Kelvin sign is not a k), so that ASCII text can be sought in the bytes.
 */
export function fold(text: string): string {
  // toLowerCase of pure ASCII is exactly that, and fast.
  if (isAscii(text)) return text.toLowerCase()
  return text.replace(/[A-Z]|\P{ASCII}/gu, foldOne)
}

export function foldOne(character: string): string {
  const lower = character.toLowerCase()
  if (character.length === 1 && character < '\x80') return lower
  return lower.length === character.length && lower >= '\x80' ? lower : character
}

export function isAscii(text: string): boolean {
  return /^[\x00-\x7f]*$/.test(text)
}
