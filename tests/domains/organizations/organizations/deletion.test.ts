import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { Client } from '../../../helpers/api.ts'
import { test } from '../../../helpers/organizations.ts'
import { eventsOf } from '../../../helpers/sql.ts'

describe('a deleted organisation', () => {
  test('is reached by nobody, at once, and its owners are told', async ({ api, owner, prove, newKey, sql }) => {
    const path = `/organizations/${owner.orgId}`
    const member = await api.newUser(owner, 'admin')
    const second = await api.newUser(owner, 'owner')
    const key = await newKey(owner)
    for (const client of [owner, member, key]) expect((await client.get('/portfolios')).status).toBe(200)
    expect((await owner.delete(path)).body.code).toBe('step_up_required')
    await prove(owner)
    await prove(member)
    expect((await member.delete(path)).body).toMatchObject({ status: 403, code: 'forbidden' })
    expect((await owner.delete(path, { 'if-match': '"7"' })).body.code).toBe('version_mismatch')
    expect((await owner.delete(path)).status).toBe(204)
    expect((await owner.get('/portfolios')).body.code).toBe('session_ended')
    expect((await member.get('/portfolios')).body.code).toBe('session_ended')
    expect((await key.get('/portfolios')).body.code).toBe('invalid_api_key')
    const { body } = await api.anonymous.post('/auth/refresh', { refresh_token: member.refreshToken })
    const after = new Client(api.app, body.access_token)
    expect((await after.get('/portfolios')).body.code).toBe('no_active_organization')
    expect((await after.get('/organizations')).body.data).toEqual([])
    expect((await after.get(path)).status).toBe(404)
    expect((await after.post(`${path}/leave`)).status).toBe(404)
    expect((await api.signIn(member.email)).orgId).toBeUndefined()
    const mails = await sql`select recipient, data from mail_outbox where template = 'organization_deleted'
      and data ->> 'organization_id' = ${owner.orgId}`
    expect(mails.map(({ recipient }) => recipient).sort()).toEqual([owner.email, second.email].sort())
  })

  test('is listed to its owners for thirty days, who alone can restore it', async ({ api, owner, prove, sql }) => {
    const path = `/organizations/${owner.orgId}`
    const admin = await api.newUser(owner, 'admin')
    const second = await api.newUser(owner, 'owner')
    await prove(owner)
    expect((await second.post(`${path}/restore`)).body.code).toBe('invalid_state')
    await owner.delete(path)
    const back = await api.signIn(second.email)
    const { body } = await back.get('/organizations')
    const [row] = await sql`select deleted_at + interval '30 days' as due from organizations where id = ${owner.orgId}`
    expect(body.data).toMatchObject([{ status: 'deleted', deletion_due_at: row!.due.toISOString() }])
    expect((await back.patch(path, { name: 'X' })).body.code).toBe('invalid_state')
    await prove(back)
    expect((await back.delete(path)).body.code).toBe('invalid_state')
    expect((await (await api.signIn(admin.email)).post(`${path}/restore`)).status).toBe(404)
    expect((await back.post(`${path}/restore`)).body).toMatchObject({ status: 'active', deletion_due_at: null })
    for (const { email } of [owner, admin, second])
      expect((await (await api.signIn(email)).get('/portfolios')).status).toBe(200)
    expect((await eventsOf(sql, owner.orgId)).map(({ action }) => action)).toEqual([
      'organization.created',
      'organization.deleted',
      'organization.restored',
    ])
  })

  test('is beyond restoring after that', async ({ api, owner, prove, sql }) => {
    const path = `/organizations/${owner.orgId}`
    await prove(owner)
    await owner.delete(path)
    await sql`update organizations set deleted_at = now() - interval '30 days 1 second' where id = ${owner.orgId}`
    const back = await api.signIn(owner.email)
    expect((await back.get('/organizations')).body.data).toEqual([])
    expect((await back.post(`${path}/restore`)).status).toBe(404)
  })
})

describe('the purge', () => {
  test('leaves of an organisation nothing but its audit trail, and of another everything', async ({
    api,
    owner,
    prove,
    newKey,
    sql,
  }) => {
    await api.app.runTask('purge organizations')
    const other = await api.newOwner()
    for (const one of [owner, other]) {
      const manager = await api.newUser(one, 'portfolio_manager')
      await newKey(one)
      await one.post('/roles', { name: 'auditor', permissions: ['audit:read'] }, { 'idempotency-key': 'k' })
      const book = await one.post('/portfolios', { name: 'Book', currency: 'USD', manager_id: manager.id })
      await sql`insert into loans (org_id, id, portfolio_id, loan_number, borrower_name, currency, originated_on,
          original_principal, status)
        select ${one.orgId}, gen_random_uuid(), ${book.body.id}, n, 'B', 'USD', '2020-01-01', 1, 'paid'
        from generate_series(1, 10001) n`
      const [run] = await sql`insert into imports (org_id, id, portfolio_id, target, status, mode, on_error, dry_run,
          principal, request_hash)
        values (${one.orgId}, ${randomUUID()}, ${book.body.id}, 'loans', 'completed', 'insert', 'skip', false, 'p', 'h')
        returning id`
      await sql`insert into import_rejects values (${one.orgId}, ${run?.id}, 2, '{a}', 'none')`
      await sql`insert into stress_scenarios (org_id, id, name, shocks) values (${one.orgId}, ${randomUUID()}, 'Mild', '{}')`
      await sql`insert into stress_runs (org_id, id, portfolio_id, name, shocks, filter, result, loan_count, formula_version)
        values (${one.orgId}, ${randomUUID()}, ${book.body.id}, 'Mild', '{}', '{}', '{}', 1, 1)`
      const watched = randomUUID()
      await sql`insert into watch_lists (org_id, id, name) values (${one.orgId}, ${watched}, 'Watched')`
      await sql`insert into watch_list_entries (org_id, id, watch_list_id, loan_id)
        select org_id, gen_random_uuid(), ${watched}, id from loans where org_id = ${one.orgId} limit 1`
      const scale = randomUUID()
      await sql`insert into rating_scales (org_id, id, name, grades) values (${one.orgId}, ${scale}, 'Scale', '[]')`
      await sql`insert into rating_history (org_id, id, portfolio_id, loan_id, scale_id, action, effective_from)
        select org_id, gen_random_uuid(), portfolio_id, id, ${scale}, 'withdraw', '2020-01-01' from loans
        where org_id = ${one.orgId} limit 1`
      await sql`insert into default_rates (org_id, id, portfolio_id, period, basis, source)
        values (${one.orgId}, ${randomUUID()}, ${book.body.id}, '2024', 'count', 'entered')`
      await sql`insert into import_mappings (org_id, id, name, target, mapping)
        values (${one.orgId}, ${randomUUID()}, 'Tape', 'loans', '{}')`
      await sql`insert into loan_versions (org_id, id, loan_id, portfolio_id, loan_number, borrower_name, currency,
          originated_on, original_principal, status)
        values (${one.orgId}, ${randomUUID()}, ${randomUUID()}, ${book.body.id}, 'n', 'B', 'USD', '2020-01-01', 1, 'paid')`
      const invitation = randomUUID()
      await sql`insert into invitations (org_id, id, email, roles, expires_at)
        values (${one.orgId}, ${invitation}, 'kim@example.com', '{member}', now())`
      await sql`insert into mail_tokens (token_hash, purpose, email, org_id, invitation_id, expires_at)
        values (${Buffer.from(invitation)}, 'invitation', 'kim@example.com', ${one.orgId}, ${invitation}, now())`
    }
    const tables = (await sql`select table_name as name from information_schema.columns
      where table_schema = 'public' and column_name = 'org_id'`) as unknown as { name: string }[]
    /** Rows of this organisation by table, whatever tables there are. */
    const rowsOf = async (orgId: string) => {
      const counts = tables.map(
        async ({ name }) =>
          [name, (await sql`select count(*)::int as n from ${sql(name)} where org_id = ${orgId}`)[0]?.n] as const,
      )
      return Object.fromEntries(await Promise.all(counts))
    }
    const before = [await rowsOf(owner.orgId), await rowsOf(other.orgId)]
    for (const [name, rows] of Object.entries(before[0]!))
      if (name !== 'audit_seals') expect(rows, `${name} has a row to purge`).toBeGreaterThan(0)
    await prove(owner)
    await owner.delete(`/organizations/${owner.orgId}`)
    expect(await api.app.runTask('purge organizations')).toBe(0)
    expect((await rowsOf(owner.orgId)).loans).toBe(10_001)
    await sql`update organizations set deleted_at = now() - interval '30 days 1 second' where id = ${owner.orgId}`
    const runs = await Promise.all([1, 2].map(() => api.app.runTask('purge organizations')))
    expect(runs.sort()).toEqual([0, 1])

    const { audit_events, audit_queue, audit_seals, ...rest } = await rowsOf(owner.orgId)
    expect(rest).toEqual(Object.fromEntries(Object.keys(rest).map((name) => [name, 0])))
    expect(audit_events).toBe(before[0]?.audit_events + 2)
    expect(await rowsOf(other.orgId)).toEqual(before[1])
    expect((await sql`select 1 from organizations where id = ${owner.orgId}`).length).toBe(0)
    expect((await eventsOf(sql, owner.orgId)).at(-1)).toMatchObject({ action: 'organization.purged', actor_id: null })
    expect((await other.get('/portfolios')).status).toBe(200)
    expect((await (await api.signIn(owner.email)).get('/organizations')).body.data).toEqual([])
  })
})
