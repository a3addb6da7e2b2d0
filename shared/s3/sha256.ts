import { createHash } from 'node:crypto'

/** In base64, as S3 writes it. */
export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64')
}
