import ipaddr from 'ipaddr.js'

/**
 * What counts as one caller: an IPv4 address, or the /64 that a single IPv6 customer has to himself.
 * Whatever a proxy forwards that is no address counts as one caller together.
 */
export function networkOf(ip: string): string {
  if (!ipaddr.isValid(ip)) return 'unknown'
  if (!ip.includes(':')) return ip
  const address = ipaddr.process(ip)
  if (address.kind() === 'ipv4') return address.toString()
  const groups = (address as ipaddr.IPv6).parts.slice(0, 4)
  return `${groups.map((group) => group.toString(16)).join(':')}::/64`
}

/** An address or a network in CIDR form; IPv4 in four decimal parts, for `10` and `010.0.0.1` mean something else to each reader. */
export function isNetwork(text: string): boolean {
  const [address = ''] = text.split('/')
  if (!ipaddr.IPv4.isValidFourPartDecimal(address) && !ipaddr.IPv6.isValid(address)) return false
  return address === text || ipaddr.isValidCIDR(text)
}

/**
 * Whether an address lies in one of these networks; IPv4 addresses mapped into IPv6 count as IPv4.
 * @param networks addresses and networks in CIDR form
 */
function networkMatcher(networks: readonly string[]): (ip: string) => boolean {
  const ranges = networks.map((network) =>
    network.includes('/')
      ? ipaddr.parseCIDR(network)
      : ipaddr.parseCIDR(`${network}/${network.includes(':') ? 128 : 32}`),
  )
  return (ip) => {
    if (!ipaddr.isValid(ip)) return false
    const address = ipaddr.process(ip)
    return ranges.some((range) => range[0].kind() === address.kind() && address.match(range))
  }
}

/** Who is let in where only some networks are; undefined where none is named, so that everybody is. */
export const admission = (networks: readonly string[] = []) =>
  networks.length > 0 ? networkMatcher(networks) : undefined

/** Whether a host to listen on is reached from this machine only. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback')
