import ts from 'typescript'

/**
 * Returns the comments of a source file: each as text at its own line and column, so that a finding in it has its place
 * in the file. Lines of `//` that follow each other are one comment.
 */
export function findComments(path, source) {
  return joinLines(findRanges(path, source), source).map(({ pos, end }) => {
    const before = source.slice(0, pos).replaceAll(/[^\n]/g, ' ')
    return before + source.slice(pos, end).replaceAll(marks, (mark) => mark.replaceAll(/[^\n]/g, ' '))
  })
}

/** What opens, continues and ends a comment, the notes to a linter, and the names of TSDoc's tags. */
const marks =
  /^\s*\/\/ biome-ignore .*|^\/\*\*?|\*\/$|^\s*\/\/\/?|^[ \t]*\*(?= |$)|@(?:param|returns|throws)\b(?: \w+ -)?/gm

function findRanges(path, text) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const found = new Map()
  const collect = (node) => {
    const children = node.getChildren(source)
    for (const child of children) collect(child)
    if (children.length > 0) return
    for (const comment of ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []) found.set(comment.pos, comment)
    for (const comment of ts.getTrailingCommentRanges(text, node.getEnd()) ?? []) found.set(comment.pos, comment)
  }
  collect(source)
  return [...found.values()].sort((one, other) => one.pos - other.pos)
}

function joinLines(comments, source) {
  const joined = []
  for (const { pos, end } of comments) {
    const last = joined.at(-1)
    const isNextLine = last !== undefined && /^\n *$/.test(source.slice(last.end, pos))
    if (isNextLine && last.isLine && source.startsWith('//', pos)) last.end = end
    else joined.push({ pos, end, isLine: isAlone(source, pos) && source.startsWith('//', pos) })
  }
  return joined
}

/** Whether no code stands before a comment on its line. */
function isAlone(source, pos) {
  return /(^|\n) *$/.test(source.slice(0, pos))
}
