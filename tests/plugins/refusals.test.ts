import { describe, expect } from 'vitest'
import { test } from '../helpers/organizations.ts'
import { newSuperuser, sessionOf } from '../helpers/sessions.ts'

describe('what somebody may not do and tried', () => {
  test('is in the trail of his organisation once a minute, with who, from where, and what', async ({
    api,
    owner,
    sql,
  }) => {
    const member = await api.newUser(owner, 'member')
    const [first] = [await member.delete(`/members/${owner.id}`), await member.delete(`/members/${member.id}`)]
    expect(first.status).toBe(403)
    const refused = await sql`select * from audit_events where action = 'access.refused' and org_id = ${owner.orgId}`
    expect(refused).toHaveLength(1)
    expect(refused[0]).toMatchObject({
      actor_id: member.id,
      subject_type: 'operation',
      after: { operation: 'removeMember', code: 'forbidden' },
      request_id: first.body.request_id,
      ip: '127.0.0.1',
    })
  })

  test('names the key, or who acts in his name', async ({ api, owner, newKey, sql }) => {
    const root = await newSuperuser(api, sql)
    await (await newKey(owner)).post('/portfolios', { name: 'Book', currency: 'USD' })
    await (await sessionOf(api, sql, owner, root.id)).post('/auth/logout-all')
    const refused = await sql`
      select api_key_id is not null as key, impersonator_id from audit_events
      where action = 'access.refused' and org_id = ${owner.orgId} order by created_at`
    expect(refused).toEqual([
      { key: true, impersonator_id: null },
      { key: false, impersonator_id: root.id },
    ])
  })

  test('is told of rights and policies, and not of what is to be proved first or is not there', async ({
    api,
    owner,
    sql,
  }) => {
    const [member] = (await owner.get('/members')).body.data
    expect((await owner.post('/auth/totp')).body.code).toBe('step_up_required')
    expect((await owner.get(`/members/${owner.id}`)).status).toBe(404)
    expect((await api.anonymous.get('/members')).status).toBe(401)
    expect((await owner.patch(`/members/${member.id}`, { roles: ['member'] })).status).toBe(403)
    const settings = { ip_allowlist: ['10.0.0.0/8'] }
    expect((await owner.patch(`/organizations/${owner.orgId}`, { settings })).body.code).toBe('policy_locks_out')
    const heir = await api.newUser(owner, 'owner')
    await sql`update users set is_active = false where id = ${heir.id}`
    expect((await owner.post(`/organizations/${owner.orgId}/leave`)).body.code).toBe('last_owner')
    const refused = await sql`
      select after ->> 'code' as code from audit_events
      where action = 'access.refused' and org_id = ${owner.orgId} order by created_at`
    expect(refused.map(({ code }) => code)).toEqual(['forbidden', 'policy_locks_out', 'last_owner'])
  })
})
