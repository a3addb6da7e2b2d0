import { test } from 'tap'
import { type ContactsHolder, readContacts, readSources } from './contacts.ts'
import { RefusedError } from './link.ts'

const REPORT = {
  host: 'web1',
  epoch: '1-00000000000000aa',
  bucketSeconds: 10,
  sources: [{ source: 'ab', path: '/log/a', start: 0, size: 9, read: 9 }],
  underReplicatedPackets: 0,
  underReplicatedBytes: 0,
}
const CONTACT = { tailer: 'ab'.repeat(16), machine: 'm1', connected: true, silentMs: 5, report: REPORT }
const RECORD = { source: 'ab', tailer: 'cd', host: 'web1', path: '/log/a', start: 0, to: 9 }

function holderOf(body: unknown): ContactsHolder {
  return { ask: (async () => ({ body })) as ContactsHolder['ask'] }
}

test('what a buck says of tailers and sources is refused as a whole if it is of another form', async t => {
  t.same(await readContacts(holderOf({ tailers: [CONTACT] }), 1000), [CONTACT])
  t.same(await readSources(holderOf({ sources: [RECORD] }), 1000), [RECORD])
  for (const body of [
    undefined,
    null,
    [],
    { tailers: [null], sources: [null] },
    { tailers: [CONTACT], sources: [RECORD], next: {} },
    { tailers: [{ ...CONTACT, silentMs: Number.NaN }], sources: [{ ...RECORD, to: -1 }] },
    { tailers: [{ ...CONTACT, connected: 'yes' }], sources: [{ ...RECORD, path: undefined }] },
    { tailers: [{ ...CONTACT, report: null }], sources: [{ ...RECORD, start: '0' }] },
    { tailers: [{ ...CONTACT, report: { ...REPORT, sources: [null] } }], sources: 'all' },
  ]) {
    await t.rejects(readContacts(holderOf(body), 1000), RefusedError)
    await t.rejects(readSources(holderOf(body), 1000), RefusedError)
  }
  await t.rejects(readSources(holderOf({ sources: [RECORD], next: 1 }), 1000), RefusedError, 'no end')
})
