import ipaddr from 'ipaddr.js'
import { isNetwork } from './address.ts'

/** A configuration that cannot be used; the message names the variable and says what to do. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** The names that stand for networks in Fastify's `trustProxy`. */
const namedNetworks = ['loopback', 'linklocal', 'uniquelocal']

export function proxiesOf(value: string): string[] {
  const proxies = list(value)
  for (const proxy of proxies)
    if (!namedNetworks.includes(proxy) && !ipaddr.isValid(proxy) && !ipaddr.isValidCIDR(proxy))
      throw new ConfigError(
        `TRUSTED_PROXIES names "${proxy}"; give addresses, networks such as 10.0.0.0/8, or loopback.`,
      )
  return proxies
}

const hostName = /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,20}$/i

export function outgoingOf(value: string): string[] {
  const hosts = list(value)
  for (const host of hosts)
    if (!isNetwork(host) && !(hostName.test(host) && /[a-z]/i.test(host)))
      throw new ConfigError(
        `OUTGOING_ALLOW names "${host}"; give host names, addresses, or networks such as 10.0.0.0/8.`,
      )
  return hosts
}

export const list = (value: string) =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

/** `90`, `90s`, `15m`, `12h` or `7d` in seconds. */
export function seconds(duration: string): number {
  const unit = { s: 1, m: 60, h: 3_600, d: 86_400 }[duration.at(-1) as 's' | 'm' | 'h' | 'd']
  return unit === undefined ? Number(duration) : Number(duration.slice(0, -1)) * unit
}
