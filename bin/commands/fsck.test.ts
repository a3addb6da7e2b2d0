import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { BucketFile, scanBucketFile } from '../../shared/bucket-file.ts'
import { testPacket } from '../../shared/packets.test-support.ts'
import { realDisk } from '../../shared/real-disk.ts'
import { testFolder } from '../../shared/test-folder.test-support.ts'

const COMMAND = new URL('../bucktail.ts', import.meta.url).pathname

function fsck(folder: string) {
  const { status, stdout } = spawnSync(process.execPath, [COMMAND, 'fsck', folder], { encoding: 'utf8' })
  return { status, stdout }
}

test('what a crash leaves of an append is no damage; a flipped byte is, in the last entry too', {
  timeout: 300_000,
}, async t => {
  const folder = testFolder(t)
  mkdirSync(join(folder, 'buckets'))
  const path = join(folder, 'buckets', 'one')
  const file = await BucketFile.open(realDisk, path)
  const payload = testPacket([{ lines: ['a line\n'] }], { sequence: 1 }).bytes
  await file.append([
    { kind: 'packet', payload },
    { kind: 'packet', payload },
  ])
  await file.close()
  const bytes = readFileSync(path)
  t.match(fsck(folder), { status: 0, stdout: /2 packets.*nothing is damaged\n/ })
  writeFileSync(path, bytes.subarray(0, -1))
  t.match(fsck(folder), {
    status: 0,
    stdout: /torn {2}buckets\/one.*cut short\n[\s\S]*nothing is damaged; 1 torn append/,
  })
  for (const at of [bytes.length - 1, bytes.length - payload.length - 1]) {
    const bad = Buffer.from(bytes)
    bad[at] ^= 1
    writeFileSync(path, bad)
    t.match(fsck(folder), { status: 3, stdout: /damaged {2}buckets\/one[\s\S]*1 place damaged/ }, `flip at ${at}`)
  }
})

test('a file that is being written has torn ends at most', async t => {
  const path = join(testFolder(t), 'live')
  const file = await BucketFile.open(realDisk, path)
  let isOver = false
  const writing = (async () => {
    for (let i = 0; i < 300; i++) await file.append([{ kind: 'packet', payload: Buffer.alloc(1 + i * 997, i) }])
    isOver = true
  })()
  let scans = 0
  while (!isOver) {
    for await (const item of scanBucketFile(realDisk, path)) {
      if (item.kind === 'damaged' && !item.torn) t.fail(JSON.stringify(item))
    }
    scans++
  }
  await writing
  await file.close()
  t.ok(scans > 0, `${scans} scans`)
})
