// By what the signed words of a tailer are told apart: the same word twice is stored once.
import { type Manifest, manifestDigest } from '../shared/manifest.ts'
import type { Epoch, TailerId } from '../shared/messages.ts'

export function manifestKey(manifest: Manifest): string {
  return `manifest ${manifestDigest(manifest).toString('hex')}`
}

export function goneKey(gone: { tailer: TailerId; epoch: Epoch; sequence: number }): string {
  return `gone ${gone.tailer}/${gone.epoch}/${gone.sequence}`
}
