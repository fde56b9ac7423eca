// Trial: analyses each pattern for up to some seconds
import { readdirSync, readFileSync } from 'node:fs'
import { checkSync } from 'recheck'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

process.env['RECHECK_SYNC_BACKEND'] = 'pure' // the analyser in JavaScript: the same on every platform

/** A regular expression of the source, as its author wrote it. */
interface Pattern {
  readonly place: string
  readonly source: string
  readonly flags: string
}

/** Patterns built at run time, with the reason why no caller of the server chooses their text. */
const built = new Map([['database/embedded/account.ts', 'a number, matched against the lines of /etc/passwd']])

// the analysis counts steps and never its time, and tries the same texts each time, so that a busy machine finds the same
const limits = { timeout: 60_000, attackTimeout: null, incubationTimeout: null, randomSeed: 1 }

const root = new URL('../../src/', import.meta.url)
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.c?ts$/.test(file))
  .map((file) => file.replaceAll('\\', '/'))

describe('a regular expression', { timeout: 90_000 }, () => {
  test.each(files.flatMap(findPatterns))('takes linear time: $place $source', ({ source, flags }) => {
    expect(checkSync(source, flags, limits)).toMatchObject({ status: 'safe' })
  })

  test('is a literal, so that it can be analysed', () => {
    const dynamic = files.filter((file) => findNodes(file, isBuilt).length > 0 && !built.has(file))
    expect(dynamic).toEqual([])
  })

  test.each(['/+$', '(a+)+$', '(?:^|&)a*a*b', '(ab)+$'])('is found when it takes longer: %s', (source) => {
    expect(checkSync(source, '', limits)).toMatchObject({ status: 'vulnerable' })
  })
})

function findPatterns(file: string): Pattern[] {
  return findNodes(file, ts.isRegularExpressionLiteral).map((literal) => {
    const text = literal.getText()
    const end = text.lastIndexOf('/')
    const { line } = literal.getSourceFile().getLineAndCharacterOfPosition(literal.getStart())
    return { place: `${file}:${line + 1}`, source: text.slice(1, end), flags: text.slice(end + 1) }
  })
}

function isBuilt(node: ts.Node): node is ts.NewExpression | ts.CallExpression {
  return (ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === 'RegExp'
}

function findNodes<Found extends ts.Node>(file: string, accepts: (node: ts.Node) => node is Found): Found[] {
  const found: Found[] = []
  const visit = (node: ts.Node): void => {
    if (accepts(node)) found.push(node)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, readFileSync(new URL(file, root), 'utf8'), ts.ScriptTarget.Latest, true))
  return found
}
