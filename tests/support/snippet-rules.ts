/** The languages of snippets that run: each one is tried by a test, or listed below. */
export const runLanguages = ['sh', 'bash', 'js', 'mjs', 'ts', 'sql', 'python']

/** The languages that a parser reads. Such a snippet shows data that a program sends or receives. */
export const readLanguages = ['json', 'ndjson', 'yaml', 'xml']

/** The languages of files: such a snippet is an excerpt of a file that other tests hold, or listed below. */
export const fileLanguages = ['nginx', 'dockerfile']

/** The languages of snippets for reading only. */
export const shownLanguages = ['text', 'http', 'mermaid']

/** A snippet that no test can run, and why. */
export interface Exception {
  /** A text that it alone has. */
  readonly mark: string
  readonly reason: string
}

/** Every snippet that no test runs. */
export const exceptions: readonly Exception[] = []
