import type { FastifyInstance } from 'fastify'
import type { OAuthError } from '../errors.ts'

const gatherMs = 1_000

/**
 * Tells the log of refusals for want of room, a line a second with their number: under a flood a line for each would fill
 * the disk and cost what is left of the processor.
 */
export function createOverloadLog(scope: FastifyInstance, logged: Readonly<Record<string, string>>) {
  const refused = new Map<string, number>()
  let timer: NodeJS.Timeout | null = null

  function tell(): void {
    if (timer) clearTimeout(timer)
    timer = null
    for (const [reason, count] of refused) {
      scope.log.warn({ event: 'overload', reason, refused: count, ...logged }, `refused ${count} times: ${reason}`)
    }
    refused.clear()
  }

  scope.addHook('onClose', async () => tell())
  return ({ reason = '' }: OAuthError): void => {
    refused.set(reason, (refused.get(reason) ?? 0) + 1)
    timer ??= setTimeout(tell, gatherMs).unref()
  }
}
