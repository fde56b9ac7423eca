import { toString as textOf } from 'nlcst-to-string'
import { visit } from 'unist-util-visit'

/** Names each sentence of more than `longest` words. A piece of code counts as one word. */
export function refuseLongSentences({ longest }) {
  return (tree, file) => {
    visit(tree, 'SentenceNode', (sentence) => {
      const words = sentence.children.filter(({ type }) => type === 'WordNode' || type === 'SourceNode').length
      if (words >= shortest) file.data.sentenceLengths.push(words)
      if (words > longest) file.message(`${words} words in one sentence; split it`, place(sentence, 'long-sentence'))
    })
  }
}

/** Fewer words are a heading, a label or a cell of a table. */
const shortest = 4

/** Names the phrases that make a sentence sound translated, with what to write instead. */
export function refusePhrases() {
  return (tree, file) => {
    visit(tree, 'SentenceNode', (sentence) => {
      const text = sentence.children.map((child) => (child.type === 'SourceNode' ? '`' : textOf(child))).join('')
      for (const [phrase, advice] of phrases) {
        for (const [found] of text.replaceAll(/\s+/g, ' ').matchAll(phrase)) {
          file.message(`"${found.replace(/^[,;:] /, '')}": ${advice}`, place(sentence, 'phrase'))
        }
      }
    })
  }
}

/** After "what" or "who" they make a question the subject of a sentence; a heading may begin like one. */
const verbs =
  '(?:is|was|are|were|has|had|can|cannot|may|must|will|does|did|came|went|arrived|happened|' +
  '(?:come|count|end|follow|go|happen|hear|lie|remain|run|say|send|stand|start|throw|wait)e?s)\\b'

const phrases = [
  [
    /\b(?:whoever|whomever|nobody|somebody|anybody|everybody)\b/gi,
    'name who it is: the caller, the user, the operator',
  ],
  [/\bwhatever\b/gi, 'name the thing'],
  [new RegExp(`(?:^|[,;:] )what ${verbs}(?=[^?]*[.!:]$)`, 'gi'), 'name the thing'],
  [new RegExp(`(?:^|[;:] )whom? ${verbs}(?=[^?]*[.!:]$)`, 'gi'), 'name who it is: the caller, the user, the operator'],
  [/\bthat is none\b/gi, 'write "is not a …"'],
  [/\bof which\b/gi, 'start a new sentence'],
  [/\bso many (?:seconds|minutes|hours|days|bytes)\b/gi, 'name the number or the setting'],
  [/\bmay not\b/gi, 'write "must not" or "might not"'],
]

function place(node, rule) {
  return { place: node.position, source: 'prose', ruleId: rule }
}
