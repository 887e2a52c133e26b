import { deleteAudited, insertAudited, updateAudited } from '../../../db/audit.ts'
import { missingReference, taken, withConstraints } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import { compare, containsText, listPage } from '../../../db/list.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { importMappings } from '../../../db/tables/imports.ts'
import { notFound, oneOr404, Problem } from '../../../lib/errors.ts'
import { checkMapping, invalidMapping } from '../engine/check-mapping.ts'
import type { Options } from '../engine/form.ts'
import type { Target } from '../engine/target.ts'
import type { SavedMappingCreate, SavedMappingQuery, SavedMappingUpdate } from './schemas.ts'

const constraints = { import_mappings_name: taken('/body/name', 'mapping of this organisation has this name') }

const list = {
  name: 'import_mappings',
  table: importMappings,
  sorts: { created_at: importMappings.created_at, name: importMappings.name },
  filters: { target: compare(importMappings.target), q: containsText(importMappings.name) },
}

export const listMappings = (scope: TenantScope, query: SavedMappingQuery) => listPage(scope, list, query)

export const getMapping = (scope: TenantScope, id: string) => getOwned(scope, importMappings, id)

/**
 * Puts what a saved mapping says by now beside its id, where an import names one.
 * @throws Problem `not_found` with a pointer where this organisation has none, `invalid_mapping` where it is of another kind
 */
export async function recallMapping(scope: TenantScope, options: Options, target: Target): Promise<void> {
  if (options.mapping_id === undefined) return
  const saved = await getMapping(scope, options.mapping_id).catch((error: unknown) => {
    throw error instanceof Problem && error.code === 'not_found' ? missingReference('/body/mapping')() : error
  })
  if (saved.target !== target.name)
    throw invalidMapping([['', 'target', `is a mapping of ${saved.target}, and these are ${target.name}`]])
  options.mapping = checkMapping(saved.mapping, target)
}

export const createMapping = (scope: TenantScope, body: SavedMappingCreate & { target: string }) =>
  withConstraints(constraints, () => insertAudited(scope, 'import_mapping', importMappings, { ...body }))

export async function updateMapping(scope: TenantScope, id: string, patch: SavedMappingUpdate, version?: number) {
  const made = await withConstraints(constraints, () =>
    updateAudited(scope, 'import_mapping', importMappings, id, patch, version),
  )
  return oneOr404(made ? [made] : [])
}

export async function deleteMapping(scope: TenantScope, id: string, version?: number): Promise<void> {
  if (!(await deleteAudited(scope, 'import_mapping', importMappings, id, version))) throw notFound()
}
