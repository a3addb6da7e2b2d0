import { test } from 'tap'
import { ended, start } from '../test/command.ts'
import { count, escapeControls, escapeEvent, escapeJson, size, table } from './terminal.ts'

test('nothing a terminal would obey gets through', async t => {
  t.equal(
    escapeControls('\x1b[31mred\x07\r\n\x9b2J\u202eevil\tok'),
    '\\x1b[31mred\\x07\\x0d\\x0a\\x9b2J\\u202eevil\tok',
  )
  t.equal(escapeControls('plain, ümläut, 漢字 🙂'), 'plain, ümläut, 漢字 🙂')
  t.equal(JSON.parse(escapeJson(JSON.stringify('\x9b\u202e'))), '\x9b\u202e')
  t.notMatch(escapeJson(JSON.stringify('\x1b\x7f\x9b')), /[\x00-\x1f\x7f-\x9f]/)
})

test('an event of several lines keeps them, moved in', async t => {
  t.equal(escapeEvent('boom\x1b[2J\r\n\tat x\n\nend'), 'boom\\x1b[2J\n    \tat x\n    \n    end')
  t.equal(escapeEvent('one\x07'), 'one\\x07')
})

test('numbers, sizes and tables read well', async t => {
  t.equal(count(1234567), '1 234 567')
  t.equal(size(999), '999 B')
  t.equal(size(12_340_000), '12.3 MB')
  t.equal(
    table(
      ['file', 'lines'],
      [
        ['a.log', 5],
        ['bb', 12345],
      ],
    ),
    'file    lines\na.log       5\nbb     12 345',
  )
})

test('help whose reader is gone ends quietly', async t => {
  for (const args of [['--help'], ['buck', '--help'], ['ledger', 'accept', '--help'], ['--version']]) {
    const child = start(args)
    const end = ended(child)
    // Long before the process has anything to say.
    child.stdout!.destroy()
    const { code, stderr } = await end
    t.equal(stderr, '', args.join(' '))
    t.equal(code, 0, args.join(' '))
  }
})
