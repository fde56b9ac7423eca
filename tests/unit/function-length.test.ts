import { readdirSync, readFileSync } from 'node:fs'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const maxLines = 40

/** Functions that are longer, each with its reason. */
const exceptions = new Map([
  ['grants/password-grant.ts grantPassword', 'holds the rules of the grant from top to bottom'],
  ['tokens/issue-token.ts writeText', 'is the text of one SQL statement'],
  ['http/client-endpoint.ts clientEndpoint', 'registers one route, its steps in the order in which they fail'],
  ['http/bounded-log.ts createBoundedLog', 'shares the counts of a second among three short functions'],
])

const root = new URL('../../src/', import.meta.url)
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.c?ts$/.test(file))
  .map((file) => file.replaceAll('\\', '/'))

describe('a function', () => {
  const long = files.flatMap((file) => findLongFunctions(file, readFileSync(new URL(file, root), 'utf8')))

  test(`has at most ${maxLines} lines, or a reason for more`, () => {
    expect(long.filter((found) => !exceptions.has(found))).toEqual([])
  })

  test('is listed as an exception only while it is longer', () => {
    expect([...exceptions.keys()].filter((exception) => !long.includes(exception))).toEqual([])
  })

  test.each([
    ['function read() {\n%}', 'a.ts read'],
    ['const read = () => {\n%}', 'a.ts read'],
    ['const reader = {\n  read: () => {\n%  }\n}', 'a.ts read'],
    ['class Reader {\n  #read() {\n%  }\n}', 'a.ts #read'],
    ['class Reader {\n  constructor() {\n%  }\n}', 'a.ts constructor'],
    ['run(() => {\n%})', 'a.ts without a name'],
  ])('is found when it is longer: %j', (template, found) => {
    const write = (lines: number) => template.replace('%', 'run()\n'.repeat(lines - 2))
    expect(findLongFunctions('a.ts', write(maxLines))).toEqual([])
    expect(findLongFunctions('a.ts', write(maxLines + 1))).toEqual([found])
  })
})

/** Returns the file and name of every function that is too long, from its first line to its last. */
function findLongFunctions(file: string, text: string): string[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const lineAt = (position: number) => source.getLineAndCharacterOfPosition(position).line
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    const isLong = lineAt(node.getEnd()) - lineAt(node.getStart()) >= maxLines
    if (isLong && isFunction(node)) found.push(`${file} ${findName(node)}`)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

function isFunction(node: ts.Node): node is ts.FunctionLikeDeclaration {
  return ts.isFunctionLike(node) && 'body' in node
}

/** A function without a name of its own has that of its variable or property. */
function findName({ kind, name, parent }: ts.FunctionLikeDeclaration): string {
  if (kind === ts.SyntaxKind.Constructor) return 'constructor'
  if (name) return name.getText()
  return ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent)
    ? parent.name.getText()
    : 'without a name'
}
