import { isNetwork } from '../../../lib/address.ts'
import { invalidField, Problem } from '../../../lib/errors.ts'
import { lacking } from '../roles/rules.ts'

/**
 * What the schema cannot judge of a key's fields.
 * @param own what the caller may do himself: nobody gives a key more
 * @throws Problem `validation_failed` or `forbidden`
 */
export function checkKey(
  { permissions = [], ip_allowlist = [] }: { permissions?: readonly string[]; ip_allowlist?: readonly string[] },
  own: ReadonlySet<string>,
): void {
  const wrong = ip_allowlist.findIndex((network) => !isNetwork(network))
  if (wrong >= 0)
    throw invalidField(`/body/ip_allowlist/${wrong}`, 'format', 'must be an IP address, or a network in CIDR form')
  const beyond = lacking(own, permissions)
  if (beyond.length > 0)
    throw new Problem('forbidden', `You cannot give a key what you may not do yourself: ${beyond.join(', ')}.`)
}
