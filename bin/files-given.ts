// The files and globs of a command line: which can be read, and one sentence for each that cannot. And those of the settings.
import { accessSync, constants, globSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import picomatch from 'picomatch'
import type { Settings } from '../config/schema.ts'
import { realDisk } from '../shared/real-disk.ts'
import { FileFinder, isBelow } from '../tailer/find-files.ts'
import { reasonOf } from './fail.ts'

export interface FilesGiven {
  /** Absolute paths and globs, as the tailer takes them. */
  patterns: string[]
  /** Files that they name now. */
  files: string[]
  problems: { pattern: string; sentence: string }[]
  /** A glob names a data folder of ours, too. */
  isOwnLeftOut: boolean
}

/** A glob that matches so many was not meant; the tailer would open them all. */
const FILES_MAX = 100_000

/** @param own  folders of ours: globs find nothing in them (as the tailer, tailer/find-files.ts) */
export function filesGiven(given: string[], own: string[]): FilesGiven {
  const result: FilesGiven = { patterns: [], files: [], problems: [], isOwnLeftOut: false }
  const isOwn = (path: string) => own.some(folder => isBelow(path, folder))
  for (const text of given) {
    const pattern = resolve(text)
    // A file whose name has glob characters (`app[1].log`) is meant as it is.
    const isGlob = picomatch.scan(pattern).glob !== '' && statSync(pattern, { throwIfNoEntry: false }) === undefined
    const matched = isGlob ? globSync(pattern) : [pattern]
    const files = isGlob ? matched.filter(path => !isOwn(path) && isFile(path)) : matched
    if (isGlob && own.some(folder => matchesBelow(pattern, folder))) result.isOwnLeftOut = true
    const sentence = isGlob ? globProblem(text, files) : fileProblem(text, pattern)
    if (sentence !== undefined) result.problems.push({ pattern: text, sentence })
    else {
      result.patterns.push(isGlob ? pattern : escapeGlob(pattern))
      result.files.push(...files)
    }
  }
  result.files = [...new Set(result.files)].sort()
  return result
}

/** What the settings name now, as the tailer finds it. What is not there yet is no mistake: the tailer waits for it. */
export async function filesOfSettings(
  { files, exclude }: Pick<Settings['tailer'], 'files' | 'exclude'>,
  own: string[],
): Promise<string[]> {
  const rules = files.map(rule => ({ path: resolve(typeof rule === 'string' ? rule : rule.path) }))
  const excluded = exclude.map(glob => resolve(glob))
  // The tailer says what it cannot look at.
  const parts = { disk: realDisk, onTrouble: () => undefined, onOwn: () => undefined }
  const found = await new FileFinder(rules, own, excluded, parts).find()
  return [...found.values()].filter(({ isSibling }) => !isSibling).map(({ path }) => path)
}

/** Whether the glob could name something in the folder. */
function matchesBelow(pattern: string, folder: string): boolean {
  const matches = picomatch(pattern)
  return matches(join(folder, 'log', 'x.log')) || isBelow(picomatch.scan(pattern).base, folder)
}

function globProblem(text: string, files: string[]): string | undefined {
  if (files.length === 0) return `${text} matches no file; quote it ('${text}') and see what \`ls ${text}\` shows`
  if (files.length > FILES_MAX)
    return `${text} matches ${files.length} files, at most ${FILES_MAX} can be tailed; name fewer`
  return undefined
}

function fileProblem(text: string, path: string): string | undefined {
  try {
    const stat = statSync(path)
    if (stat.isDirectory())
      return `${text} is a folder; name the files in it, for example '${text.replace(/\/$/, '')}/*.log'`
    if (!stat.isFile()) return `${text} is not a regular file; only files can be tailed`
    accessSync(path, constants.R_OK)
    return undefined
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return `${text} does not exist; check the path`
    if (code === 'EACCES' || code === 'EPERM')
      return `${text} cannot be read: permission denied; run as a user who may read it`
    return `${text} cannot be read: ${reasonOf(error)}`
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

/** So that the tailer takes it literally: each special character as a class of its own. */
function escapeGlob(path: string): string {
  if (picomatch.scan(path).glob === '') return path
  return path.replace(/[*?[\]{}()!+@\\]/g, char => {
    if (char === '\\') return '\\\\'
    return `[${char === '!' || char === ']' ? `\\${char}` : char}]`
  })
}
