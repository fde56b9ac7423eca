/** Answers the bench's questions to this process, one at a time, until the process ends. */
export function answerQuestions<Question, Reply>(answer: (question: Question) => Promise<Reply>): void {
  process.on('message', async (question) => {
    process.send?.(await answer(question as Question))
  })
  process.on('disconnect', () => process.exit()) // the bench has ended
}
