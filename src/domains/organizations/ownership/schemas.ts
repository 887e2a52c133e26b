import { named, Strict, Uuid } from '../../../lib/schema.ts'

export const OwnershipTransfer = named(
  'OwnershipTransfer',
  Strict({ user_id: Uuid({ description: 'another active member, who becomes an owner' }) }),
)
