import { and, eq, type SQL, sql } from 'drizzle-orm'
import { deleteAudited, insertAudited, recordEvent, updateAudited } from '../../../db/audit.ts'
import { bookColumns, portfolioArchived } from '../../../db/book.ts'
import { missingReference, taken, withConstraints } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import { compare, containsText, listPage } from '../../../db/list.ts'
import { owned, type TenantScope, unhurried } from '../../../db/scope.ts'
import { type DefaultDefinition, type Grade, loans, portfolios, ratingScales } from '../../../db/tables/credit.ts'
import { invalidField, notFound, oneOr404, Problem } from '../../../lib/errors.ts'
import { newId } from '../../../lib/ids.ts'
import type { Page } from '../../../lib/page.ts'
import { followRatings } from '../ratings/current/queries.ts'
import type {
  Portfolio,
  PortfolioCreate,
  PortfolioDuplicate,
  PortfolioQuery,
  PortfolioStatistics,
  PortfolioUpdate,
} from './schemas.ts'

/** Default or charged off, or 90 days past due: a day before “more than 90 days” of CRR Article 178 and EBA/GL/2016/07. */
const defaultDefinition: DefaultDefinition = { statuses: ['default', 'charged_off'], days_past_due_min: 90 }
const bucketEdges = [1, 30, 60, 90]

const constraints = {
  portfolios_code: taken('/body/code', 'portfolio has this code'),
  portfolios_manager: missingReference('/body/manager_id'),
  portfolios_rating_scale: missingReference('/body/rating_scale_id'),
}

const list = {
  name: 'portfolios',
  table: portfolios,
  sorts: { created_at: portfolios.created_at, name: portfolios.name, as_of: portfolios.as_of },
  filters: {
    code: compare(portfolios.code),
    currency: compare(portfolios.currency),
    asset_class: compare(portfolios.asset_class),
    manager_id: compare(portfolios.manager_id),
    archived: (value: SQL) =>
      sql`(${value}::text = 'all' or (${portfolios.archived_at} is not null) = (${value}::text = 'true'))`,
    created_at_gte: compare(portfolios.created_at, '>='),
    created_at_lte: compare(portfolios.created_at, '<='),
    q: containsText(portfolios.name, portfolios.code),
  },
}

/** One page of portfolios; `manager_id=me` stands for whoever asks. */
export async function listPortfolios(scope: TenantScope, query: PortfolioQuery): Promise<Page<Portfolio>> {
  const { include, ...rest } = query
  const mine = rest.manager_id === 'me' && { manager_id: scope.actor.user_id ?? newId() }
  const page = await listPage(scope, list, { ...rest, ...mine })
  return include === undefined ? page : { ...page, data: await withStatistics(scope, page.data) }
}

async function withStatistics(scope: TenantScope, page: Row[]): Promise<Portfolio[]> {
  const ids = `{${page.map(({ id }) => id).join(',')}}`
  const found = await scope.db.execute<{ id: string; statistics: PortfolioStatistics }>(sql`
    select asked.id, json_build_object('loan_count', coalesce(held.loan_count, 0),
      'balance', coalesce(held.balance, 0)::numeric(30,4)::text, 'reported_on', reported.on) as statistics
    from unnest(${ids}::uuid[]) as asked (id)
    left join (
      select portfolio_id, count(*)::int as loan_count, sum(balance) as balance
      from ${loans} where ${owned(loans, scope)} and portfolio_id = any(${ids}::uuid[]) group by portfolio_id
    ) as held on held.portfolio_id = asked.id
    left join lateral (
      select max(as_of) as on from loan_versions
      where org_id = ${scope.org_id}::uuid and portfolio_id = asked.id and as_of is not null and known_to is null
    ) as reported on true`)
  const statistics = new Map(found.map((row) => [row.id, row.statistics]))
  return page.map((portfolio) => ({ ...portfolio, statistics: statistics.get(portfolio.id)! }))
}

export const getPortfolio = (scope: TenantScope, id: string) => getOwned(scope, portfolios, id)

type Row = typeof portfolios.$inferSelect

/** @throws Problem `portfolio_archived` */
export function assertOpen({ archived_at }: Pick<Row, 'archived_at'>): void {
  if (archived_at !== null) throw portfolioArchived()
}

/** What a portfolio asks of its loans; `grades` is null where any rating will do. */
export type Terms = Pick<Row, 'id' | 'currency' | 'archived_at'> & { grades: string[] | null }

/**
 * @param held keeps the portfolio from being archived or deleted until the transaction ends
 * @throws Problem `not_found`
 */
export async function termsOf(scope: TenantScope, id: string, held = false): Promise<Terms> {
  const { currency, archived_at } = portfolios
  const scale = and(eq(ratingScales.org_id, portfolios.org_id), eq(ratingScales.id, portfolios.rating_scale_id))
  const query = scope.db
    .select({ id: portfolios.id, currency, archived_at, grades: ratingScales.grades })
    .from(portfolios)
    .leftJoin(ratingScales, scale)
    .where(and(owned(portfolios, scope), eq(portfolios.id, id)))
  const { grades, ...terms } = oneOr404(await (held ? query.for('key share', { of: portfolios }) : query))
  return { ...terms, grades: grades?.map(({ grade }: Grade) => grade) ?? null }
}

/** The same for a change of what the portfolio holds. @throws Problem `portfolio_archived` */
export async function openTerms(scope: TenantScope, id: string): Promise<Terms> {
  const terms = await termsOf(scope, id, true)
  assertOpen(terms)
  return terms
}

export async function createPortfolio(scope: TenantScope, body: PortfolioCreate) {
  checkEdges(body.bucket_edges)
  return withConstraints(constraints, () =>
    insertAudited(scope, 'portfolio', portfolios, {
      ...body,
      default_definition: body.default_definition ?? defaultDefinition,
      bucket_edges: body.bucket_edges ?? bucketEdges,
    }),
  )
}

function checkEdges(edges: number[] = []) {
  if (edges.some((edge, index) => edge < (edges[index - 1] ?? 0)))
    throw invalidField('/body/bucket_edges', 'ascending', 'must ascend')
}

/** Changes a portfolio; under another rating scale its loans have the grades that hold on that one. */
export async function updatePortfolio(scope: TenantScope, id: string, patch: PortfolioUpdate, version?: number) {
  checkEdges(patch.bucket_edges)
  const change = (inside: TenantScope) => updateAudited(inside, 'portfolio', portfolios, id, patch, version)
  const made = await withConstraints(constraints, () =>
    patch.rating_scale_id == null && patch.currency === undefined
      ? change(scope)
      : scope.db.transaction(async (db) => {
          const inside = { ...scope, db }
          if (patch.currency !== undefined) await assertCurrency(inside, id, patch.currency)
          const changed = await change(inside)
          if (changed && patch.rating_scale_id != null) await followRatings(inside, id)
          return changed
        }),
  )
  return oneOr404(made ? [made] : [])
}

/**
 * Waits for changes of what the portfolio holds, imports among them, and keeps new ones out until the transaction ends:
 * they look at the portfolio again then.
 * @throws Problem `not_found`; `resource_busy` where it would wait for long
 */
async function holdPortfolio(scope: TenantScope, id: string): Promise<Row> {
  const mine = and(owned(portfolios, scope), eq(portfolios.id, id))
  return oneOr404(await scope.db.select().from(portfolios).where(mine).for('update'))
}

async function assertCurrency(scope: TenantScope, id: string, currency: string): Promise<void> {
  const held = await holdPortfolio(scope, id)
  const inside = and(owned(loans, scope), eq(loans.portfolio_id, id))
  const [loan] = await scope.db.select({ id: loans.id }).from(loans).where(inside).limit(1)
  if (held.currency !== currency && loan !== undefined)
    throw new Problem(
      'currency_mismatch',
      `The portfolio holds loans in ${held.currency}; only an empty one can change.`,
      {
        errors: [{ pointer: '/body/currency', code: 'currency_mismatch', message: `must stay ${held.currency}` }],
      },
    )
}

/**
 * Archives a portfolio, or opens it again: neither changes anything where that is so already.
 * @throws Problem `not_found`, `version_mismatch`; `resource_busy` while an import into it runs
 */
export const archivePortfolio = (scope: TenantScope, id: string, archive: boolean, version?: number) =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const { archived_at } = await holdPortfolio(inside, id)
    const patch = (archived_at !== null) === archive ? {} : { archived_at: archive ? (sql`now()` as never) : null }
    const verb = archive ? 'archived' : 'unarchived'
    const made = await updateAudited(inside, 'portfolio', portfolios, id, patch, version, verb)
    return oneOr404(made ? [made] : [])
  })

/**
 * A new portfolio with the settings of another and, unless told otherwise, its loans as they are: with ids of their own
 * and of no import. Snapshots and ratings stay with the first.
 * @throws Problem `not_found`, or `already_exists` for the code
 */
export function duplicatePortfolio(scope: TenantScope, id: string, body: PortfolioDuplicate): Promise<Portfolio> {
  const { with_loans = true, name, code = null } = body
  return withConstraints(constraints, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db }
      const {
        id: _,
        org_id: _org,
        version: _v,
        created_at: _c,
        updated_at: _u,
        archived_at: _a,
        ...settings
      } = await getPortfolio(inside, id)
      const made = await insertAudited(inside, 'portfolio', portfolios, { ...settings, name, code })
      const count = with_loans ? await copyLoans(inside, id, made.id) : 0
      const after = { source_id: id, loans: count }
      await recordEvent(inside, {
        action: 'portfolio.duplicated',
        subject_type: 'portfolio',
        subject_id: made.id,
        after,
      })
      return made
    }),
  )
}

/** What a copy of a loan does not take over. */
const notCopied = ['org_id', 'portfolio_id', 'import_id', 'created_at']

async function copyLoans({ db, org_id }: TenantScope, from: string, to: string): Promise<number> {
  const names = sql.raw(
    bookColumns
      .filter((name) => !notCopied.includes(name))
      .map((name) => `"${name}"`)
      .join(', '),
  )
  await db.execute(unhurried)
  // The ids begin with today's time, as all ids do, so they lie together in the index.
  const copied = await db.execute(sql`
    insert into ${loans} (org_id, id, portfolio_id, ${names})
    select org_id, overlay(gen_random_uuid()::text placing ${newId().slice(0, 15)} from 1)::uuid, ${to}::uuid, ${names}
    from ${loans} where ${owned(loans, { org_id })} and ${eq(loans.portfolio_id, from)}`)
  return copied.count
}

/**
 * Deletes a portfolio; with `cascade` its loans too, in the same transaction.
 * @throws Problem `in_use` when it holds loans and `cascade` was not asked for
 */
export async function deletePortfolio(
  scope: TenantScope,
  id: string,
  cascade: boolean,
  version?: number,
): Promise<void> {
  await withConstraints({ loans_portfolio: holdsLoans }, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db }
      if (cascade) await deleteLoans(inside, id)
      if (!(await deleteAudited(inside, 'portfolio', portfolios, id, version))) throw notFound()
    }),
  )
}

async function deleteLoans(scope: TenantScope, portfolioId: string) {
  await scope.db.execute(unhurried)
  const gone = await scope.db.delete(loans).where(and(owned(loans, scope), eq(loans.portfolio_id, portfolioId)))
  if (gone.count > 0)
    await recordEvent(scope, {
      action: 'portfolio.emptied',
      subject_type: 'portfolio',
      subject_id: portfolioId,
      before: { loans: gone.count },
    })
}

const holdsLoans = () =>
  new Problem('in_use', 'The portfolio still holds loans; delete them first, or repeat with ?cascade=true.')
