// Log lines, journals, stores: what a role writes is nobody's business but its owner's and, for a porter and an archie under
// two users, its group's. Keys are made with a mode of their own (bin/keyring.ts, tailer/identity.ts).
const NOT_FOR_OTHERS = 0o027

/** From here on this process makes files and folders without any right for others. A stricter umask stays. */
export function keepFilesPrivate(): void {
  const own = process.umask(NOT_FOR_OTHERS)
  process.umask(own | NOT_FOR_OTHERS)
}
