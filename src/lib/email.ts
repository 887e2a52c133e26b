import { domainToASCII } from 'node:url'
import { invalidField } from './errors.ts'

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

/** The domain as canonical addresses have it; undefined when it is none. */
export const canonicalDomain = (text: string): string | undefined => canonicalEmail(`x@${text}`)?.slice(2)

/** The domain of a canonical address. */
export const domainOf = (email: string): string => email.slice(email.lastIndexOf('@') + 1)

/** Whether an organisation that names canonical domains lets this address in; one that names none lets in all. */
export const domainAllowed = (email: string, domains: readonly string[] = []): boolean =>
  domains.length === 0 || domains.includes(domainOf(email))

/** The canonical form of an address of the body. @throws Problem `validation_failed` when it is no address */
export function requiredEmail(text: string, pointer = '/body/email'): string {
  const email = canonicalEmail(text)
  if (email === undefined) throw invalidField(pointer, 'format', 'must be an e-mail address')
  return email
}

/** The fields of an organisation with its `contact_email`, if any, canonical. @throws as `requiredEmail` */
export const withContact = <T extends { contact_email?: string | null }>(fields: T): T =>
  fields.contact_email == null
    ? fields
    : { ...fields, contact_email: requiredEmail(fields.contact_email, '/body/contact_email') }
