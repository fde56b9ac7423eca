/** Answers the bench's questions to this process, one at a time, until it is ended. */
export function answerQuestions<Question, Reply>(answer: (question: Question) => Promise<Reply>): void {
  process.on('message', async (question) => {
    process.send?.(await answer(question as Question))
  })
  process.on('disconnect', () => process.exit()) // the bench is gone, however that came about
}
