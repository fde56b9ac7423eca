import { extname } from 'node:path'
import remarkGfm from 'remark-gfm'
import remarkParse from 'remark-parse'
import remarkRetext from 'remark-retext'
import retextEnglish from 'retext-english'
import retextRepeatedWords from 'retext-repeated-words'
import { unified } from 'unified'
import { visit } from 'unist-util-visit'
import { VFile } from 'vfile'
import { refuseLongSentences, refusePhrases } from './rules.mjs'

const longestSentence = 35

const english = unified()
  .use(retextEnglish)
  .use(refuseLongSentences, { longest: longestSentence })
  .use(refusePhrases)
  .use(retextRepeatedWords)
const prose = unified().use(remarkRetext, english)
const markdown = unified().use(remarkParse).use(remarkGfm)
const comments = unified().use(remarkParse).use(remarkGfm)
// a comment may be indented by more than Markdown allows a paragraph
comments.data('micromarkExtensions', [{ disable: { null: ['codeIndented'] } }])

/**
 * Reads a Markdown text, or the comments of a TypeScript source. Returns a file whose `messages` are the findings, and
 * whose `data.sentenceLengths` are the lengths of its sentences in words.
 */
export async function checkText(path, text) {
  const isMarkdown = extname(path) === '.md'
  const file = new VFile({ path, data: { sentenceLengths: [] } })
  for (const value of isMarkdown ? [text] : await readComments(path, text)) {
    const part = new VFile({ path, value, data: file.data })
    await checkBlocks((isMarkdown ? markdown : comments).parse(part), part)
    file.messages.push(...part.messages.filter(({ ruleId }) => ruleId !== 'a-z')) // A-Z a-z repeats no word
  }
  return file
}

/** Loads the parser of TypeScript, which takes longer than reading a page. */
async function readComments(path, text) {
  const { findComments } = await import('./find-comments.mjs')
  return findComments(path, text)
}

/** Checks paragraphs, headings and cells one by one: together, the items of a list would be one sentence. */
async function checkBlocks(tree, file) {
  const blocks = []
  visit(tree, ['paragraph', 'heading', 'tableCell'], (block) => void blocks.push({ ...block, type: 'paragraph' }))
  for (const block of blocks) await prose.run(block, file)
}
