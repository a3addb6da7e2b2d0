import { test } from 'tap'
import { lineWayOf, namesOf, redactorOf, ruleOf } from './line-way.ts'

test('a path goes by the first rule that names it, a generation by that of its active name', async t => {
  const rules = [{ path: '/var/log/app.log' }, { path: '/var/log/*.log' }, { path: '/srv/**/*.log' }]
  t.equal(ruleOf(rules, '/var/log/app.log'), rules[0])
  t.equal(ruleOf(rules, '/var/log/app.log.1'), rules[0])
  t.equal(ruleOf(rules, '/var/log/other.log'), rules[1])
  t.equal(ruleOf(rules, '/srv/a/b/c.log'), rules[2])
  t.equal(ruleOf(rules, '/etc/passwd'), undefined)
})

test('host and application come from the rule, else from its pattern over the path, else from a container\u2019s path', async t => {
  const path = '/srv/logs/web1/shop/error.log'
  const names = '^/srv/logs/(?<host>[^/]+)/(?<app>[^/]+)/'
  t.strictSame(namesOf({ path }, path), { host: undefined, app: undefined })
  t.strictSame(namesOf({ path, names }, path), { host: 'web1', app: 'shop' })
  t.strictSame(namesOf({ path, names, app: 'mine' }, path), { host: 'web1', app: 'mine' })
  t.strictSame(namesOf({ path, names }, '/elsewhere'), { host: undefined, app: undefined })
  t.strictSame(namesOf({ path }, '/var/log/pods/ns_pod_uid/nginx/0.log'), { host: undefined, app: 'nginx' })
})

test('a redactor counts for all files of its rule', async t => {
  const rule = { path: '/x/*', redact: ['cards', { name: 'ids', pattern: 'id-[0-9]+' }] as const }
  t.equal(redactorOf(rule), redactorOf(rule))
  t.equal(lineWayOf(rule, '/x/a').redactor, redactorOf(rule))
  t.equal(redactorOf({ path: '/x' }), undefined)
  const bytes = Buffer.from('id-7 4111111111111111\n')
  redactorOf(rule)!.mask(bytes)
  t.equal(bytes.toString(), '**** ****************\n')
})

test('records go by the rule: traces unless it says otherwise', async t => {
  const ends = (multiline: Parameters<typeof lineWayOf>[0], text: string) => {
    const { records } = lineWayOf(multiline, '/x/a')
    const bytes = Buffer.from(text)
    const found: number[] = []
    for (let at = 0; at < bytes.length; at = records.end) {
      records.next(bytes, at, bytes.length)
      found.push(records.end)
    }
    return found
  }
  const path = '/x/a'
  t.strictSame(ends(undefined, 'x\n\tat y\nz\n'), [8, 10])
  t.strictSame(ends({ path, multiline: 'none' }, 'x\n\tat y\nz\n'), [2, 8, 10])
  t.strictSame(ends({ path, multiline: { start: '^[xz]' } }, 'x\nw\nz\n'), [4, 6])
  t.strictSame(ends({ path, multiline: { continue: '^w' } }, 'x\nw\nz\n'), [4, 6])
})
