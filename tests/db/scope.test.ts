import { and, eq, sql as statement } from 'drizzle-orm'
import { expect } from 'vitest'
import { owned } from '../../src/db/scope.ts'
import { loans } from '../../src/db/tables/credit.ts'
import { newPortfolio } from '../helpers/credit.ts'
import { importCsv, tapeOf } from '../helpers/imports.ts'
import { test } from '../helpers/sql.ts'

test('a row is found by its key also of an organisation that the statistics have not seen', async ({
  api,
  owner,
  sql,
}) => {
  await importCsv(owner, (await newPortfolio(owner)).id, tapeOf(2_000))
  await sql`analyze loans`
  const { id, orgId: org_id } = await api.newOwner()
  const plan = await api.app.pools.requests.db.execute(
    statement`explain select * from ${loans} where ${and(owned(loans, { org_id }), eq(loans.id, id))}`,
  )
  const lines = plan.map((line) => line['QUERY PLAN']).join('\n')
  expect(lines).toContain('using loans_org_id_id_pk')
  expect(lines).not.toContain('Filter')
})
