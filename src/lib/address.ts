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

/** An address or a network in CIDR form. */
export const isNetwork = (text: string): boolean => ipaddr.isValid(text) || ipaddr.isValidCIDR(text)

/**
 * Whether an address lies in one of these networks; IPv4 addresses mapped into IPv6 count as IPv4.
 * @param networks addresses and networks in CIDR form
 */
export function networkMatcher(networks: readonly string[]): (ip: string) => boolean {
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
