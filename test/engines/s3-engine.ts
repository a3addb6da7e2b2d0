// What a test knows of a running S3 server, whichever it is. Without buckets at first; path style.
export interface S3Engine {
  endpoint: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  /** All it keeps: a folder per bucket. */
  dataFolder: string
  kill(): Promise<void>
  /** On the same folder and port. */
  start(): Promise<void>
  /** It stalls: connections stay open, nothing answers. */
  pause(): void
  resume(): void
}
