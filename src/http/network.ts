import { isIPv4 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import ipaddr from 'ipaddr.js'
import type { Client } from '../clients/client.ts'

/**
 * Returns the address of the end user. A trusted client puts it before its own in `X-Forwarded-For`, which counts only
 * when the proxy in between is trusted too. For any other client, returns the caller's address.
 */
export function findAddress({ ip, ips, headers }: FastifyRequest, { isTrusted }: Client): string {
  if (!isTrusted || !ips || ips.length < 2) return ip
  const named = String(headers['x-forwarded-for'] ?? '').split(',')
  return named.at(-ips.length)?.trim() || ip
}

/**
 * Returns the network of an address: an IPv4 address, or the first 64 bits of an IPv6 address, which usually belong to
 * one household. A text that is not an address is its own network and begins with `?`. A connection without an address,
 * as over a Unix socket, has the network `''`.
 */
export function networkOf(address: string | undefined): string {
  if (address === undefined) return ''
  if (isIPv4(address)) return address // the common case, without the cost of parsing
  const parsed = readAddress(address)
  if (parsed === null) return `?${address.trim().toLowerCase().slice(0, longestUnreadable)}`
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString()
  return parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')
}

const longestUnreadable = 64

/** Returns an address for the log. Hides any other text, since a proxy's header may contain anything, even a secret. */
export function showAddress(address: string | undefined): string | undefined {
  if (address === undefined || isIPv4(address)) return address
  return readAddress(address)?.toString() ?? 'unreadable'
}

/**
 * Reads an address in every notation of proxies: with a port, in brackets or quotes, with a zone, an IPv4 address as
 * IPv6. Returns null for a text that is not an address.
 */
function readAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  if (text.length > longestAddress) return null
  const bare = withoutPort(
    text
      .trim()
      .replace(/^"([^"]*)"$/, '$1')
      .trim(),
  ).replace(/%[^%\]]*$/, '')
  if (ipaddr.IPv4.isValidFourPartDecimal(bare)) return ipaddr.IPv4.parse(bare)
  return ipaddr.IPv6.isValid(bare) ? ipaddr.process(bare) : null // an IPv4 address written as IPv6 is IPv4
}

const longestAddress = 100

function withoutPort(address: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d{0,5})?$/.exec(address)
  if (bracketed) return bracketed[1] ?? ''
  return address.replace(/^(\d{1,3}(?:\.\d{1,3}){3}):\d{0,5}$/, '$1')
}

/**
 * Builds Fastify's `trustProxy` from a list of addresses and networks. Trusts a hop in every notation, so that a
 * proxy's `address:port` is not taken for the caller. Returns false for an empty list, which trusts no header.
 */
export function trustProxies(proxies: readonly string[]): ((address: string, hop?: number) => boolean) | false {
  if (proxies.length === 0) return false
  const networks = proxies.map(readNetwork)
  return (address, hop = 0) => {
    if (hop >= maxHops) return false // bounds the cost of a header with thousands of addresses
    const parsed = readAddress(address ?? '')
    return (
      parsed !== null && networks.some(([range, bits]) => parsed.kind() === range.kind() && parsed.match(range, bits))
    )
  }
}

/** More proxies than any request passes. */
const maxHops = 32

function readNetwork(network: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  const [address = '', bits] = network.split('/')
  const range = ipaddr.parse(address)
  if (range instanceof ipaddr.IPv6 && range.isIPv4MappedAddress()) {
    return [range.toIPv4Address(), bits === undefined ? 32 : Math.max(0, Number(bits) - 96)]
  }
  return [range, bits === undefined ? (range.kind() === 'ipv4' ? 32 : 128) : Number(bits)]
}
