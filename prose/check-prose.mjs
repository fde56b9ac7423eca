// Reads the project's texts and the comments of its sources, and names each sentence that breaks a rule of rules.mjs.
// Usage: node prose/check-prose.mjs [--count] [PATH…]. Without a path it reads those of prose.json; a path is a file or
// a folder. `--count` prints the number of findings of each file, and the median length of its sentences.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkText } from './check-text.mjs'

const { paths, except } = JSON.parse(readFileSync(new URL('prose.json', import.meta.url), 'utf8'))
const { values, positionals } = parseArgs({ allowPositionals: true, options: { count: { type: 'boolean' } } })

const chosen = positionals.length > 0 ? positionals : paths
for (const path of [...new Set(chosen.flatMap(findTexts))].sort()) {
  const file = await checkText(path, readFileSync(path, 'utf8'))
  if (values.count) console.log(countOf(file))
  else for (const { line, column, reason } of file.messages) console.error(`${path}:${line}:${column} ${reason}`)
  if (file.messages.length > 0) process.exitCode = 1
}

/** The Markdown and TypeScript files at a path. */
function findTexts(path) {
  if (!existsSync(path)) throw new Error(`${path}, named in prose.json or as an argument, does not exist`)
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { recursive: true })
    .map((name) => join(path, name))
    .filter((name) => /\.(md|c?ts)$/.test(name) && !except.some((folder) => name.startsWith(`${folder}/`)))
}

function countOf({ path, messages, data }) {
  const lengths = data.sentenceLengths.toSorted((a, b) => a - b)
  const median = lengths[Math.floor(lengths.length / 2)] ?? 0
  return `${path}: ${messages.length} findings, ${lengths.length} sentences, median ${median} words`
}
