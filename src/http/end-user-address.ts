import type { FastifyRequest } from 'fastify'
import type { Client } from '../clients/client.ts'

/**
 * Whose address counts: that of whoever asks, and where a trusted client asks, that of whoever it asks for, which it puts
 * before its own in `X-Forwarded-For`. Believed only when the proxy it came through is.
 */
export function findAddress({ ip, ips, headers }: FastifyRequest, { isTrusted }: Client): string {
  if (!isTrusted || !ips || ips.length < 2) return ip
  const named = String(headers['x-forwarded-for'] ?? '').split(',')
  return named.at(-ips.length)?.trim() || ip
}
