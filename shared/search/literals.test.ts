import { test } from 'tap'
import { compilePattern } from '../query/pattern.ts'
import { requiredText } from './literals.ts'

test('what a regular expression cannot match without is read from it', async t => {
  for (const [source, expected] of [
    ['timeout', 'timeout'],
    ['user \\w+ from 10\\.\\d+', ' from 10.'],
    ['^ERROR: .*disk (full|gone) now$', 'ERROR: '],
    ['abcd*', 'abc'],
    ['abcd?e+fgh', 'abc'],
    ['abcd{2,}', 'abc'],
    ['a\\x41bcd', 'bcd'],
    ['\\p{Greek}bcd\\pLxyzw', 'xyzw'],
    ['a\\.b\\/c', 'a.b/c'],
    ['[]abc]defg[^]x]hi', 'defg'],
    ['[[:alpha:]]defg', 'defg'],
    ['grün und blau', 'n und blau'],
    ['x{y}zz', 'x{y}zz'],
    ['foo|bar', undefined],
    ['(foo|bar)', undefined],
    ['(?i)timeout', undefined],
    ['\\Qa.b\\E', undefined],
    ['ab', undefined],
    ['.*', undefined],
  ] as const) {
    t.equal(requiredText(source, false), expected, source)
  }
  t.equal(requiredText('disk full', true), ' full', 's and k have other forms')
})

test('no line that a pattern matches lacks its text', async t => {
  const pieces = [
    'ab',
    'c',
    '\\d',
    '(x|y)',
    '[abc]',
    '.',
    '\\.',
    'q*',
    'r+',
    's?',
    't{2}',
    '^',
    '$',
    'uvw',
    '\\bk',
    '(?:m)',
  ]
  let state = Number(process.env.SEARCH_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.comment(`SEARCH_SEED=${state}`)
  const upTo = (most: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >>> 8) % most
  }
  const letters = 'abcxyqrstuvwkm0.'
  let matched = 0
  for (let n = 0; n < 3000; n++) {
    const source = Array.from({ length: 1 + upTo(5) }, () => pieces[upTo(pieces.length)]).join('')
    const ignoreCase = upTo(2) === 0
    const required = requiredText(source, ignoreCase)
    if (required === undefined) continue
    const pattern = compilePattern(source, ignoreCase)
    for (let k = 0; k < 60; k++) {
      let line = Array.from({ length: upTo(10) }, () => letters[upTo(letters.length)]).join('')
      if (upTo(2) === 0) line = `${line}${source.replace(/[^a-z.]/g, '')}${line}`
      if (!pattern.isIn(line)) continue
      matched++
      if (!line.toLowerCase().includes(required.toLowerCase()))
        t.fail(`/${source}/ matches ${line} without ${required}`)
    }
  }
  t.ok(matched > 100)
})
