import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

/**
 * The network an address counts for: an IPv4 address alone, of IPv6 the first 64 bits, which one household has. What is no
 * address (a Unix socket has none, and a header may say anything) counts as one network.
 */
export function networkOf(address: string | undefined): string {
  if (address !== undefined && isIPv4(address)) return address // nearly all, for which the rest is dear
  const bare = withoutPort(address ?? '')
  if (!ipaddr.isValid(bare)) return ''
  const parsed = ipaddr.process(bare) // an IPv4 address written as IPv6 is one
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString()
  return parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')
}

/** Some proxies forward `address:port`. */
function withoutPort(address: string): string {
  return address.replace(/^\[(.+)\](?::\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1')
}
