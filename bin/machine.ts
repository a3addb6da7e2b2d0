// What tells this machine from its clones, and this boot from the one before.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname, platform } from 'node:os'
import type { Machine } from '../tailer/identity.ts'

/** Systemd asks that the machine id itself is not shown around: a hash of it is as good. */
export function readMachine(): Machine {
  const id = firstOf(['/etc/machine-id', '/var/lib/dbus/machine-id', '/sys/class/dmi/id/product_uuid']) ?? hostname()
  const identity = createHash('sha256').update(`bucktail machine ${platform()} ${id}`).digest('hex').slice(0, 32)
  // Without a boot id every start counts as one after a boot: then more is compared, nothing is lost.
  const boot = firstOf(['/proc/sys/kernel/random/boot_id']) ?? `${process.pid}-${process.hrtime.bigint()}`
  return { identity, boot }
}

function firstOf(paths: string[]): string | undefined {
  for (const path of paths) {
    try {
      const text = readFileSync(path, 'utf8').trim()
      if (text !== '') return text
    } catch {
      // Not on this system, or not for this user: the next one.
    }
  }
  return undefined
}
