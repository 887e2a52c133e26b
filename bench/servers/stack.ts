import { Type } from '@sinclair/typebox'

/** What the route without a database answers, on both sides with the same response schema. */
export const stackModel = Type.Object({
  id: Type.String(),
  name: Type.String(),
  status: Type.String(),
  balance: Type.String(),
  term_months: Type.Integer(),
  active: Type.Boolean(),
})

export const stackAnswer = () => ({
  id: '019a0000-0000-7000-8000-000000000001',
  name: 'ABC HOBBYCRAFT',
  status: 'current',
  balance: '60000.00',
  term_months: 84,
  active: true,
})
