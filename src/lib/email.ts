import { domainToASCII } from 'node:url'

/**
 * The one form of an address under which it is an account: NFKC, lower case, IDN to ASCII.
 * The dotless ı counts as i, so that no two accounts differ by it alone.
 * @returns undefined when it is no address
 */
export function canonicalEmail(text: string): string | undefined {
  const normal = text.normalize('NFKC').trim().toLowerCase().replaceAll('ı', 'i').replaceAll('i̇', 'i')
  const at = normal.lastIndexOf('@')
  const local = normal.slice(0, at)
  const domain = domainToASCII(normal.slice(at + 1))
  if (at < 1 || local.length > 64 || !/^[^\s\p{C}@"(),:;<>[\]\\]+$/u.test(local)) return undefined
  if (!/^(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/.test(domain)) return undefined
  return `${local}@${domain}`
}
