// What a process needs from outside: time, chance, files. Passed in, so that the same tailer, buck and porter run on
// a real machine (shared/real-world.ts) and in a simulation that can cut the power (test/sim).
// The fourth, the network, is in shared/link.ts.

export interface Clock {
  /** Wall clock, milliseconds since 1970. May jump in either direction. */
  now(): number
  /** Milliseconds from an arbitrary start; never goes back. Every age and time-out is measured with this one. */
  monotonic(): number
  /** Rejects with the signal's reason when it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export interface Random {
  bytes(count: number): Buffer
  /** Uniform in [0, 1). */
  fraction(): number
}

export interface FileStat {
  size: number
  dev: number
  ino: number
  mtimeMs: number
  kind: 'file' | 'folder' | 'other'
}

/** An open file. Offsets and lengths in bytes. Reads and writes past `close` reject. */
export interface OpenFile {
  /** Fills as much of `into` as there is at `position`; answers how much. 0 at the end. */
  read(into: Buffer, position: number): Promise<number>
  /** Appends all of it, in order, or rejects (ENOSPC may leave a part: the caller truncates). */
  append(parts: Buffer[]): Promise<void>
  /** To the device (fdatasync). */
  sync(): Promise<void>
  truncate(size: number): Promise<void>
  stat(): Promise<FileStat>
  close(): Promise<void>
}

/**
 * The files of one machine. Errors carry Node's `code` (ENOENT, ENOSPC, EACCES, EEXIST …).
 * What a power cut leaves: synced bytes of a synced file, entries of a folder after `syncFolder`; the rest may be gone.
 */
export interface Disk {
  /** 'read'; 'append' creates; 'create' fails with EEXIST. */
  open(path: string, mode: 'read' | 'append' | 'create'): Promise<OpenFile>
  readFile(path: string): Promise<Buffer>
  /**
   * Whole file, synced, under a temporary name, then renamed over `path`, folder synced: old content or new, never half.
   * @param isSecret  readable by its owner only, whatever the process lets others read
   */
  replaceFile(path: string, content: Buffer, isSecret?: boolean): Promise<void>
  /** As replaceFile, but only if `path` does not exist: true if this call made it. Atomic among processes (link). */
  createFile(path: string, content: Buffer): Promise<boolean>
  /** Names in a folder, sorted; empty if the folder does not exist. */
  list(folder: string): Promise<string[]>
  stat(path: string): Promise<FileStat | undefined>
  /** As `stat` of each, at a tenth of its cost where the file system is a local one. An error is told, and counts as no file. */
  statAll?(paths: string[], onError: (path: string, error: unknown) => void): Promise<(FileStat | undefined)[]>
  rename(from: string, to: string): Promise<void>
  /** No error if it is not there. */
  remove(path: string): Promise<void>
  /** With the folders above it, durably. No error if it is there. */
  makeFolder(path: string): Promise<void>
  /** Only an empty one (else ENOTEMPTY). No error if it is not there. */
  removeFolder(path: string): Promise<void>
  syncFolder(path: string): Promise<void>
  /** Tells of changes in a folder, if this disk can. A hint only: it may tell too much, or nothing. Throws if it cannot. */
  watch?(folder: string, listener: FolderListener): { close(): void }
}

export interface FolderListener {
  /** A file was written to; without a name, some file. */
  changed(name: string | undefined): void
  /** A name came, went, or leads elsewhere. */
  renamed(): void
  /** Nothing more will be told. */
  ended(error?: unknown): void
}

/** Where a process writes what it has to say: past facts with fields. `fields.error` may be an Error. */
export interface Log {
  debug(fact: string, fields?: Record<string, unknown>): void
  info(fact: string, fields?: Record<string, unknown>): void
  warn(fact: string, fields?: Record<string, unknown>): void
  error(fact: string, fields?: Record<string, unknown>): void
}

export interface World {
  clock: Clock
  random: Random
  disk: Disk
  log: Log
}
