import { test } from 'tap'
import { withNode } from './bundle.ts'

test("in the package Node's modules are asked for what is needed of them, in every form of import", async t => {
  const table: [statement: string, becomes: string][] = [
    ["import { open } from 'node:fs'", "const { open } = process.getBuiltinModule('node:fs')"],
    ["import * as fs from 'node:fs/promises'", "const fs = process.getBuiltinModule('node:fs/promises')"],
    ["import assert from 'node:assert'", "const assert = process.getBuiltinModule('node:assert')"],
    [
      "import { strict as assert } from 'node:assert'",
      "const { strict: assert } = process.getBuiltinModule('node:assert')",
    ],
    ["import { type Stats, stat } from 'node:fs'", "const {  stat } = process.getBuiltinModule('node:fs')"],
    [
      "import {\n  a,\n  b as c,\n} from 'node:zlib'",
      "const {\n  a,\n  b: c,\n} = process.getBuiltinModule('node:zlib')",
    ],
  ]
  for (const [statement, becomes] of table) t.equal(withNode(`${statement}\n`), `${becomes}\n`)
})

test('types, other modules and texts that look like an import stay', async t => {
  const text = [
    "import type { Socket } from 'node:net'",
    "import { pack } from 'msgpackr'",
    "import { Inbox } from './inbox.ts'",
    "export const text = `  import { a } from 'node:fs'`",
    '',
  ].join('\n')
  t.equal(withNode(text), text)
})

test('what is made of an import is JavaScript that has the names', async t => {
  const text = withNode("import { join as joined, type ParsedPath, sep } from 'node:path'\n").replace(/\n$/, '')
  t.same(new Function(`${text}; return [joined('a', 'b'), sep]`)(), ['a/b', '/'])
})
