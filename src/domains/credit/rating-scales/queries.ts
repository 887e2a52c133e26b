import { and, eq } from 'drizzle-orm'
import { deleteAudited, insertAudited, updateAudited } from '../../../db/audit.ts'
import { taken, withConstraints } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import { compare, containsText, listPage } from '../../../db/list.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { ratingScales } from '../../../db/tables/credit.ts'
import { ratingHistory } from '../../../db/tables/ratings.ts'
import { notFound, oneOr404, Problem } from '../../../lib/errors.ts'
import { checkGrades, checkGradesInUse } from './rules.ts'
import type { RatingScaleCreate, RatingScaleQuery, RatingScaleUpdate } from './schemas.ts'

const constraints = { rating_scales_name: taken('/body/name', 'rating scale has this name') }

const list = {
  name: 'rating_scales',
  table: ratingScales,
  sorts: { created_at: ratingScales.created_at, name: ratingScales.name },
  filters: { agency: compare(ratingScales.agency), q: containsText(ratingScales.name) },
}

export const listRatingScales = (scope: TenantScope, query: RatingScaleQuery) => listPage(scope, list, query)

export const getRatingScale = (scope: TenantScope, id: string) => getOwned(scope, ratingScales, id)

export async function createRatingScale(scope: TenantScope, body: RatingScaleCreate) {
  checkGrades(body.grades)
  return withConstraints(constraints, () => insertAudited(scope, 'rating_scale', ratingScales, { ...body }))
}

/**
 * The scale, kept as it is until the transaction ends: for a rating that rests on it (`share`), or for its own change.
 * @returns undefined when this organisation has none of this id
 */
export async function holdRatingScale(scope: TenantScope, id: string, strength: 'share' | 'update') {
  const [scale] = await scope.db
    .select()
    .from(ratingScales)
    .where(and(owned(ratingScales, scope), eq(ratingScales.id, id)))
    .for(strength)
  return scale
}

/** @throws Problem `in_use` when ratings have a grade that would go, or change its place or its meaning */
export const updateRatingScale = (scope: TenantScope, id: string, patch: RatingScaleUpdate, version?: number) =>
  withConstraints(constraints, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db }
      if (patch.grades !== undefined) await checkChange(inside, id, patch.grades)
      const made = await updateAudited(inside, 'rating_scale', ratingScales, id, patch, version)
      return oneOr404(made ? [made] : [])
    }),
  )

async function checkChange(scope: TenantScope, id: string, grades: RatingScaleCreate['grades']) {
  checkGrades(grades)
  const scale = await holdRatingScale(scope, id, 'update')
  if (scale === undefined) throw notFound()
  const used = await scope.db
    .selectDistinct({ grade: ratingHistory.grade })
    .from(ratingHistory)
    .where(and(owned(ratingHistory, scope), eq(ratingHistory.scale_id, id)))
  checkGradesInUse(scale.grades, grades, new Set(used.map(({ grade }) => grade ?? '')))
}

/** @throws Problem `in_use` while a portfolio or a rating refers to it */
export async function deleteRatingScale(scope: TenantScope, id: string, version?: number): Promise<void> {
  const used = (what: string) => () => new Problem('in_use', `The scale is still in use: ${what}.`)
  const gone = await withConstraints(
    {
      portfolios_rating_scale: used('portfolios have it; give them another first'),
      rating_history_scale: used('loans have ratings on it; delete those first'),
    },
    () => deleteAudited(scope, 'rating_scale', ratingScales, id, version),
  )
  if (!gone) throw notFound()
}
