import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { migrate, migrationLock, migrationStates, readMigrations, rollback } from '../../src/db/migrate.ts'
import { catalog, test, write } from '../helpers/scratch.ts'
import { withUrl } from '../helpers/url.ts'

const two = {
  '0000_one.sql': 'create table one (id int);',
  '0000_one.down.sql': 'drop table one;',
  '0001_two.sql': 'create table two (id int);',
}

describe('the migrations of the project', () => {
  test('have a way back each', async () => {
    const migrations = await readMigrations()
    expect(migrations.length).toBeGreaterThan(0)
    expect(migrations.filter(({ down }) => down === undefined)).toEqual([])
  })

  test('up, down and up again leave the same schema', async ({ url, sql }) => {
    const tags = (await readMigrations()).map(({ tag }) => tag)
    expect(await migrate(url)).toEqual(tags)
    const first = await catalog(sql)
    expect(first.length).toBeGreaterThan(100)
    expect(await migrate(url)).toEqual([])

    for (const tag of tags.toReversed()) expect(await rollback(url)).toBe(tag)
    expect(await rollback(url)).toBeUndefined()
    expect(await catalog(sql)).toEqual([])

    expect(await migrate(url)).toEqual(tags)
    expect(await catalog(sql)).toEqual(first)
  })

  test('are applied once each by four migrators that start together', async ({ url }) => {
    const applied = await Promise.all([migrate(url), migrate(url), migrate(url), migrate(url)])
    expect(applied.flat()).toEqual((await readMigrations()).map(({ tag }) => tag))
    expect((await migrationStates(url)).every(({ state }) => state === 'applied')).toBe(true)
  })
})

describe('a database and a version that disagree', () => {
  test('a changed migration is reported, and nothing is applied or undone until it is restored', async ({
    url,
    sql,
    folder,
  }) => {
    await write(folder, { '0000_one.sql': two['0000_one.sql'], '0000_one.down.sql': two['0000_one.down.sql'] })
    expect(await migrate(url, { folder })).toEqual(['0000_one'])

    await write(folder, { ...two, '0000_one.sql': 'create table one (id bigint);' })
    expect(await migrationStates(url, folder)).toMatchObject([
      { tag: '0000_one', state: 'drifted', applied_at: expect.stringMatching(/Z$/) },
      { tag: '0001_two', state: 'pending', applied_at: null },
    ])
    await expect(migrate(url, { folder })).rejects.toThrow(/changed since: 0000_one\. Restore/)
    await expect(rollback(url, { folder })).rejects.toThrow(/changed since: 0000_one/)
    expect(await catalog(sql)).toEqual(['one id integer f'])

    await write(folder, two)
    expect(await migrate(url, { folder })).toEqual(['0001_two'])
  })

  test('line endings are no change', async ({ url, folder }) => {
    await write(folder, { '0000_one.sql': 'create table one (\n  id int\n);\n' })
    await migrate(url, { folder })
    await write(folder, { '0000_one.sql': 'create table one (\r\n  id int\r\n);\r\n' })
    expect(await migrationStates(url, folder)).toMatchObject([{ state: 'applied' }])
  })

  test('an older version does not touch what a newer one has migrated', async ({ url, sql, folder }) => {
    await write(folder, { '0000_one.sql': two['0000_one.sql'] })
    await migrate(url, { folder })
    await sql`insert into tenon_migrations (tag, hash) values ('0007_newer', 'x')`
    expect(await migrationStates(url, folder)).toMatchObject([{ state: 'applied' }, { state: 'unknown' }])
    await expect(migrate(url, { folder })).rejects.toThrow(/unknown to this version: 0007_newer\. A newer version/)
    await expect(rollback(url, { folder })).rejects.toThrow(/0007_newer/)
  })
})

describe('a migration that fails', () => {
  const failing = `create table two (id int);\n--> statement-breakpoint\nalter table three add column x int;`

  test('leaves nothing, names its statement, and applies once it is mended', async ({ url, sql, folder }) => {
    await write(folder, { ...two, '0001_two.sql': failing })
    await expect(migrate(url, { folder })).rejects.toThrow(
      /^Migration 0001_two failed at statement 2 of 2 \(alter table three add column x int;\): relation "three" does not exist/,
    )
    expect(await catalog(sql)).toEqual(['one id integer f'])
    expect(await migrationStates(url, folder)).toMatchObject([{ state: 'applied' }, { state: 'pending' }])

    await write(folder, two)
    expect(await migrate(url, { folder })).toEqual(['0001_two'])
  })

  test('leaves nothing when its connection dies midway', async ({ url, sql, folder }) => {
    const dying = failing.replace(/alter.*/, 'select pg_terminate_backend(pg_backend_pid());')
    await write(folder, { ...two, '0001_two.sql': dying })
    await expect(migrate(url, { folder })).rejects.toThrow(/^Migration 0001_two failed at statement 2 of 2/)
    expect(await catalog(sql)).toEqual(['one id integer f'])
  })

  test('an empty one is refused, since it would count as applied', async ({ url, folder }) => {
    await write(folder, { '0000_one.sql': '-- Write the statements here.\n' })
    await expect(migrate(url, { folder })).rejects.toThrow(/0000_one has no statement yet/)
  })

  test('without a down file it cannot be rolled back, and says so', async ({ url, folder }) => {
    await write(folder, two)
    await migrate(url, { folder })
    await expect(rollback(url, { folder })).rejects.toThrow(/0001_two\.down\.sql is missing/)
  })
})

test('waiting for another migrator has an end, and a reason', async ({ url, sql }) => {
  await sql`select pg_advisory_lock(${migrationLock}::bigint)`
  await expect(migrate(url, { waitMs: 50 })).rejects.toThrow(/Another process has been migrating this database/)
})

test('a server that is away is told as the driver tells it', async ({ url }) => {
  await expect(migrate(withUrl(url, { pathname: '/nowhere_at_all' }))).rejects.toMatchObject({ code: '3D000' })
})

describe('the role of the service', () => {
  test('reads and writes the tables, but only adds to the audit and only reads the history', async ({
    url,
    sql,
    skip,
  }) => {
    const [me] = await sql`select rolsuper or rolcreaterole as ok from pg_roles where rolname = current_user`
    skip(!me?.ok, 'the role of the test database cannot create roles')
    const role = `scratch-${randomBytes(6).toString('hex')}`
    await sql.unsafe(`create role "${role}" login password 'scratch'`)
    const service = postgres(withUrl(url, { username: role, password: 'scratch' }), { max: 1, fetch_types: false })
    try {
      const said: string[] = []
      await migrate(url, { serviceRole: role, log: (message) => said.push(message) })
      expect(said.at(-1)).toBe(`Set the rights of the role "${role}".`)

      const denied = { code: '42501' }
      await service`insert into audit_events (org_id, id, action, subject_type)
        values (gen_random_uuid(), gen_random_uuid(), 'created', 'loan')`
      expect(await service`select action from audit_events`).toEqual([{ action: 'created' }])
      await expect(service`update audit_events set action = 'other'`).rejects.toMatchObject(denied)
      await expect(service`delete from audit_events`).rejects.toMatchObject(denied)
      await expect(service`truncate audit_events`).rejects.toMatchObject(denied)
      expect(await service`select tag from tenon_migrations`).not.toEqual([])
      await expect(service`delete from tenon_migrations`).rejects.toMatchObject(denied)
      await expect(service`drop table audit_events`).rejects.toMatchObject(denied)
      await service`update users set locale = 'en'`
      await service`delete from users`

      said.length = 0
      await migrate(url, { serviceRole: role, log: (message) => said.push(message) })
      expect(said).toEqual([])

      await sql.unsafe(`grant update on audit_events to "${role}"; revoke insert on users from "${role}"`)
      await migrate(url, { serviceRole: role })
      await expect(service`update audit_events set action = 'other'`).rejects.toMatchObject(denied)
      await service`insert into users (id, email, password_hash) values (gen_random_uuid(), 'a@example.org', 'x')`

      expect(await migrate(withUrl(url, { username: role, password: 'scratch' }), { serviceRole: role })).toEqual([])
    } finally {
      await service.end()
      await sql.unsafe(
        `revoke all on all tables in schema public from "${role}"; revoke all on schema public from "${role}"; drop role "${role}"`,
      )
    }
  })

  test('is named when it does not exist', async ({ url }) => {
    await expect(migrate(url, { serviceRole: 'nobody_here' })).rejects.toThrow(/"nobody_here" of DATABASE_URL does not/)
  })
})
