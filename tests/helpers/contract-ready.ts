import { randomUUID } from 'node:crypto'
import type postgres from 'postgres'
import { mintToken, type TokenPurpose } from '../../src/db/mail-tokens.ts'
import type { Api, Client, Person } from './api.ts'
import { newScale } from './credit.ts'
import { join, memberValues } from './members.ts'

/** Values no example can give, by field or `operationId.field`: links that live, accounts that may be added. */
export function knownOn(api: Api, sql: postgres.Sql, { id, email }: Person) {
  const link = (purpose: TokenPurpose) => () =>
    mintToken(api.app.pools.requests.db, { purpose, email, user_id: id, ttl_s: 600 })
  return {
    username: () => email,
    scale_id: async (client: Client) => (await newScale(client, { grades: exampleGrades })).id,
    'verifyEmail.token': link('verify_email'),
    'resetPassword.token': link('reset_password'),
    'confirmEmail.token': link('change_email'),
    ...memberValues(api, sql),
  }
}

/** Makes an operation possible on the resource of this id; what it returns are the body's values, `file` a form's file. */
export type Ready = (id: string) => Promise<Record<string, unknown> | undefined>

/** What must be so before an operation can succeed, where neither its path nor its body's examples say it; by operation id. */
export function readyOn(api: Api, sql: postgres.Sql): Record<string, Ready> {
  const joined = async (orgId: string, role: string) => {
    const { id } = await api.newOwner()
    await join(sql, orgId, id, role)
    return id
  }
  const reported = async (portfolioId: string) => {
    for (const as_of of ['2023-12-31', '2024-12-31'])
      await sql`
        insert into loan_versions (org_id, id, loan_id, portfolio_id, as_of, loan_number, borrower_name, currency,
          originated_on, original_principal, status)
        select org_id, gen_random_uuid(), gen_random_uuid(), id, ${as_of}, '1', 'ABC Hobbycraft', 'USD', '2020-01-31', 1, 'current'
        from portfolios where id = ${portfolioId}`
  }
  const rated = (portfolioId: string) => sql`
    with scale as (
      insert into rating_scales (org_id, id, name, grades)
      select org_id, gen_random_uuid(), gen_random_uuid(), '[]' from portfolios where id = ${portfolioId} returning id
    ) update portfolios set rating_scale_id = scale.id from scale where portfolios.id = ${portfolioId}`
  /** Two dates at which loans of the portfolio, or this loan, were reported. */
  const report = async (portfolioId: string | null, loanId: string | null) => {
    for (const as_of of ['2020-12-31', '2021-12-31'])
      await sql`
        insert into loan_versions (org_id, id, loan_id, portfolio_id, as_of, loan_number, borrower_name, currency,
          originated_on, original_principal, status)
        select p.org_id, gen_random_uuid(), coalesce(l.id, gen_random_uuid()), p.id, ${as_of}, 'L', 'B', p.currency, '2020-01-31', 1, 'paid'
        from portfolios p left join loans l on l.portfolio_id = p.id and l.id = ${loanId}
        where p.id = coalesce(${portfolioId}, l.portfolio_id) on conflict do nothing`
  }
  const watch = (id: string) => sql`update watch_lists set criteria = '{"currency": "USD"}' where id = ${id}`
  return {
    getRollRates: async (id) => void (await reported(id)),
    getTransitionMatrix: async (id) => void (await rated(id)),
    listReportingDates: async (id) => void (await report(id, null)),
    listSnapshots: async (id) => void (await report(null, id)),
    listWatchedLoans: async (id) => void (await watch(id)),
    deleteSnapshots: async (id) => void (await report(id, null)),
    correctSnapshot: async (id) => {
      await report(null, id)
      return { stage: 2 }
    },
    leaveOrganization: async (id) => void (await joined(id, 'owner')),
    transferOrganization: async (id) => ({ user_id: await joined(id, 'member') }),
    importDefaultRates: async () => ({ file: `segment,period,basis\n${randomUUID()},2024-Q1,count\n` }),
    importRatingHistory: async (id) => ({ file: await ratedLoan(sql, id) }),
    importSnapshots: async (id) => {
      await sql`
        insert into loans (org_id, id, portfolio_id, loan_number, borrower_name, currency, originated_on, original_principal, status)
        select org_id, gen_random_uuid(), id, 'reported', 'ABC', currency, '2020-01-31', 1, 'current' from portfolios
        where id = ${id} on conflict do nothing`
      const row = `2024-01-31,reported,ABC,USD,2020-01-31,1,${randomUUID()},current`
      return {
        file: `as_of,loan_number,borrower_name,currency,originated_on,original_principal,state,status\n${row}\n`,
      }
    },
    // As if it ran: somebody holds its lock, for as long as these connections live.
    cancelImport: async (id) =>
      void (await sql`
        with running as (update imports set status = 'running' where id = ${id} returning org_id, portfolio_id)
        select pg_advisory_lock(hashtextextended('import ' || org_id || ' ' || portfolio_id, 0)) from running`),
    restoreOrganization: async (id) => void (await sql`update organizations set deleted_at = now() where id = ${id}`),
  }
}

/** Has the grade of the examples. */
const exampleGrades = [{ grade: 'BBB', ordinal: 1, pd: null, is_default: false }]

/** Gives a portfolio a scale and a loan. @returns a file of one rating of it */
async function ratedLoan(sql: postgres.Sql, portfolioId: string): Promise<string> {
  const [scale, loan] = [randomUUID(), randomUUID()]
  await sql`
    insert into rating_scales (org_id, id, name, grades)
    select org_id, ${scale}, ${scale}, ${sql.json(exampleGrades)} from portfolios where id = ${portfolioId}`
  await sql`update portfolios set rating_scale_id = ${scale} where id = ${portfolioId}`
  await sql`
    insert into loans (org_id, id, portfolio_id, loan_number, borrower_name, currency, originated_on, original_principal, status)
    select org_id, ${loan}, id, ${loan}, 'ABC', currency, '2020-01-31', 1, 'current' from portfolios where id = ${portfolioId}`
  return `loan_number,grade,effective_from\n${loan},BBB,2024-03-31\n`
}
