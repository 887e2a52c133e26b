import { type Static, Type } from '@sinclair/typebox'
import { bulkOf } from '../../../lib/bulk.ts'
import { named, ref, Strict, StringEnum, Uuid } from '../../../lib/schema.ts'
import { LoanCreate, LoanFields, LoanFilters } from '../loans/schemas.ts'

const LoanData = named(
  'LoanData',
  Type.Partial(Strict(LoanCreate.properties), {
    additionalProperties: false,
    examples: [{ stage: 2 }],
    description: 'a whole loan to create, or the fields to change',
  }),
)

export const LoanOperation = named(
  'LoanOperation',
  Strict({
    op: StringEnum(['create', 'update', 'delete'], { examples: ['update'] }),
    id: Type.Optional(Uuid({ description: 'the loan to change or delete' })),
    version: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'the version that was read, as If-Match' }),
    ),
    data: Type.Optional(ref(LoanData)),
  }),
)
export type LoanOperation = Static<typeof LoanOperation>

export const LoanBulk = bulkOf('LoanBulk', ref(LoanOperation))
export type LoanBulk = Static<typeof LoanBulk>

const { portfolio_id: _portfolio, ...filters } = LoanFilters
const { loan_number: _number, ...fields } = LoanFields.properties

/** The filters of the loan list inside a portfolio, as a body. */
const LoanFilter = named('LoanFilter', Strict(filters))

export const LoansUpdate = named(
  'LoansUpdate',
  Strict({
    filter: ref(LoanFilter),
    patch: Type.Partial(Strict(fields), { additionalProperties: false, minProperties: 1, examples: [{ stage: 2 }] }),
    dry_run: Type.Optional(Type.Boolean({ default: false, description: 'count only' })),
  }),
)
export type LoansUpdate = Static<typeof LoansUpdate>

export const LoansUpdateResult = named(
  'LoansUpdateResult',
  Type.Object({
    matched: Type.Integer({ description: 'loans that meet the filter' }),
    updated: Type.Integer({ description: 'those that differed, and were changed unless it was a dry run' }),
    unchanged: Type.Integer(),
    dry_run: Type.Boolean(),
  }),
)
export type LoansUpdateResult = Static<typeof LoansUpdateResult>

export const bulkModels = [LoanData, LoanOperation, LoanBulk, LoanFilter, LoansUpdate, LoansUpdateResult]
/** The fields without which there is no loan. */
export const requiredFields: readonly string[] = LoanCreate.required ?? []
