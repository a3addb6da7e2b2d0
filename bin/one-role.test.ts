import { test } from 'tap'
import { roleCallOf } from './one-role.ts'

test('a role with nothing but its flags needs no table of commands; anything else does', async t => {
  t.same(roleCallOf(['tailer']), { role: 'tailer', flags: {} })
  t.same(roleCallOf(['tailer', '--once', '--config', 'a b.yaml', '--data', '/d']), {
    role: 'tailer',
    flags: { once: true, config: 'a b.yaml', data: '/d' },
  })
  for (const args of [
    [],
    ['up'],
    ['tailers'],
    ['tailer', '--help'],
    ['tailer', '--config'],
    ['tailer', '--config', '--once'],
    ['tailer', '--config=a.yaml'],
    ['tailer', '--config', 'a', '--config', 'b'],
    ['tailer', '--once', '--once'],
    ['tailer', '--conf', 'a'],
    ['tailer', 'a.log'],
    ['buck', '--once'],
    ['porter', '--dry-run'],
    ['porter', '--', '--data', 'd'],
  ]) {
    t.equal(roleCallOf(args), undefined, args.join(' '))
  }
})
