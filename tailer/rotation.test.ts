import { test } from 'tap'
import { isActiveName, isGenerationOf, rotationSet } from './rotation.ts'

test('the generations of a log share one set', async t => {
  for (const name of [
    'app.log',
    'app.log.1',
    'app.log.12',
    'app.log.2.gz',
    'app.log-20260101',
    'app.log-20260101.gz',
    'app-2026-01-01.log',
    'app.1.log',
    'app.log.2026-01-01-13',
    'app.log.old',
  ]) {
    t.equal(rotationSet(`/log/${name}`), '/log/app.log', name)
  }
})

test('unrelated names do not', async t => {
  for (const name of ['web1.log', 'web2.log', 'app', 'app2.log', 'application.log']) {
    t.equal(rotationSet(`/log/${name}`), `/log/${name}`, name)
    t.ok(isActiveName(`/log/${name}`))
  }
  t.not(rotationSet('/a/app.log.1'), rotationSet('/b/app.log.1'), 'another folder')
})

test('a generation of an exact path has its name and something appended', async t => {
  t.ok(isGenerationOf('/log/app.log.1', '/log/app.log'))
  t.notOk(isGenerationOf('/log/app.log', '/log/app.log'))
  t.notOk(isGenerationOf('/log/app.logger', '/log/app.log'))
  t.notOk(isGenerationOf('/log/app-2026-01-01.log', '/log/app.log'))
})
