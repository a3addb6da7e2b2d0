// docs/settings.md, written from the schema: `npm run settings-page`. A test fails when the page is older than the schema.
import { writeFileSync } from 'node:fs'
import { type SettingKey, settingSections } from './keys.ts'

export function settingsPage(): string {
  const out = [
    '# Settings',
    '',
    'Written by `npm run settings-page` from `config/schema.ts`; do not edit by hand.',
    '',
    'One YAML file, named by `--config FILE` or `BUCKTAIL_CONFIG`. Every key is also an environment variable.',
    'Flags beat environment, environment beats file, file beats default. `bucktail check` reads them and says, with line',
    'and column, what is wrong. Lists in environment variables are separated by commas. Times are written with a unit',
    '(`250ms`, `10s`, `5m`, `48h`, `7d`), sizes too (`512KB`, `10GB`; `KiB` and so on are powers of 1024).',
    '',
  ]
  for (const section of settingSections()) {
    out.push(section.name === '' ? '## At the top' : `## ${section.name}`, '')
    if (section.description !== '') out.push(section.description, '')
    for (const key of section.keys) out.push(...entry(key), '')
  }
  return `${out.join('\n').trimEnd()}\n`
}

function entry(key: SettingKey): string[] {
  const unset = key.default === undefined
  return [
    `### \`${key.path.join('.')}\``,
    '',
    key.description,
    '',
    `Value: ${key.kind}. ${unset ? 'No default.' : `Default: \`${shown(key.default)}\`.`} Environment: \`${key.variable}\`.`,
  ]
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

if (import.meta.main) {
  const page = new URL('../docs/settings.md', import.meta.url)
  writeFileSync(page, settingsPage())
}
