import { and, eq, inArray } from 'drizzle-orm'
import type { Db } from './client.ts'
import { roles } from './tables/organizations.ts'

/** What each role gives that every organisation has. */
export type BuiltInRoles = Readonly<Record<string, readonly string[]>>

/**
 * What several roles give together. In a transaction, the organisation's own ones stay as they are until it ends, so
 * that none is deleted while it is assigned.
 * @returns also the names that no role has
 */
export async function permissionsOfRoles(
  db: Db,
  orgId: string,
  names: readonly string[],
  builtIn: BuiltInRoles,
): Promise<{ unknown: string[]; permissions: Set<string> }> {
  const others = names.filter((name) => !Object.hasOwn(builtIn, name))
  const own =
    others.length === 0
      ? []
      : await db
          .select({ name: roles.name, permissions: roles.permissions })
          .from(roles)
          .where(and(eq(roles.org_id, orgId), inArray(roles.name, others)))
          .for('share')
  const known = new Set(own.map(({ name }) => name))
  const given = names.filter((name) => Object.hasOwn(builtIn, name)).flatMap((name) => builtIn[name] as string[])
  return {
    unknown: others.filter((name) => !known.has(name)),
    permissions: new Set([...given, ...own.flatMap(({ permissions }) => permissions)]),
  }
}
