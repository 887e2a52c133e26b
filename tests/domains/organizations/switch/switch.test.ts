import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { Client, type Person } from '../../../helpers/api.ts'
import { test } from '../../../helpers/organizations.ts'
import { eventsOf } from '../../../helpers/sql.ts'

const switchTo = (client: Client, organization_id: string) =>
  client.post('/auth/switch-organization', { organization_id })
const as = ({ app }: Client, { body }: { body: { access_token: string } }) => new Client(app, body.access_token)

test('a switch moves the session: another token, the same refresh token, the other organisation’s data', async ({
  api,
  owner,
  join,
  sql,
}) => {
  const other = await api.newOwner()
  await join(owner, other, 'member')
  await owner.post('/portfolios', { name: 'Ours', currency: 'USD' })
  await other.post('/portfolios', { name: 'Theirs', currency: 'USD' })
  const answer = await switchTo(owner, other.orgId)
  expect(answer.body).toMatchObject({
    ...{ access_token: expect.any(String), token_type: 'bearer', expires_in: 900 },
    organization: { id: other.orgId, roles: ['member'], is_current: true },
  })
  const moved = as(owner, answer)
  expect((await moved.get('/portfolios')).body.data).toMatchObject([{ name: 'Theirs' }])
  expect((await moved.post('/portfolios', { name: 'X', currency: 'USD' })).status).toBe(403)
  expect((await owner.get('/portfolios')).body.code).toBe('session_ended')
  const refreshed = await api.anonymous.post('/auth/refresh', { refresh_token: owner.refreshToken })
  expect((await as(owner, refreshed).get('/auth/me')).body.organization.id).toBe(other.orgId)
  const [session] = await sql`select id from sessions where user_id = ${owner.id}`
  expect((await eventsOf(sql, session?.id)).slice(1)).toMatchObject([
    { action: 'session.left', org_id: owner.orgId, after: null },
    { action: 'session.entered', org_id: other.orgId, after: null },
  ])
})

test('a switch is only into an active organisation of one’s own', async ({ api, owner, join, sql }) => {
  const other = await api.newOwner()
  const answers = [await switchTo(owner, other.orgId), await switchTo(owner, randomUUID())]
  await join(owner, other)
  for (const change of [
    sql`update organizations set is_active = false where id = ${other.orgId}`,
    sql`update organizations set is_active = true, deleted_at = now() where id = ${other.orgId}`,
    sql`update organizations set deleted_at = null where id = ${other.orgId}`,
  ]) {
    await change
    answers.push(await switchTo(owner, other.orgId))
  }
  expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 200])
  await sql`update members set is_active = false where org_id = ${other.orgId} and user_id = ${owner.id}`
  api.app.access.clear()
  expect((await as(owner, answers.at(-1)!).get('/auth/me')).status).toBe(401)
})

test('whoever has no active organisation switches into one', async ({ api, owner, sql }) => {
  await sql`update users set is_superuser = true where id = ${owner.id}`
  await sql`update members set is_active = false where user_id = ${owner.id}`
  const homeless = await api.signIn(owner.email)
  expect((await homeless.get('/portfolios')).body.code).toBe('no_active_organization')
  await sql`update members set is_active = true where user_id = ${owner.id}`
  expect((await as(owner, await switchTo(homeless, owner.orgId)).get('/portfolios')).status).toBe(200)
})

test('the policy of the organisation holds after the switch, and does not keep one from switching away', async ({
  api,
  owner,
  join,
  sql,
}) => {
  const setPolicy = ({ orgId }: Person, policy: object) =>
    sql`update organizations set settings = ${sql.json(policy as never)} where id = ${orgId}`
  const strict = await api.newOwner()
  await join(owner, strict, 'admin')
  await setPolicy(strict, { ip_allowlist: ['10.0.0.0/8'] })
  const inside = await switchTo(owner, strict.orgId)
  expect(inside.body.organization).not.toHaveProperty('settings')
  expect((await as(owner, inside).get('/portfolios')).body.code).toBe('ip_not_allowed')
  const back = await switchTo(as(owner, inside), owner.orgId)
  expect((await as(owner, back).get('/portfolios')).status).toBe(200)
  await setPolicy(strict, { mfa_required: true })
  const again = as(owner, await switchTo(as(owner, back), strict.orgId))
  expect((await again.get('/portfolios')).body.code).toBe('mfa_required')
  const home = as(owner, await switchTo(again, owner.orgId))
  await setPolicy(strict, { session_lifetime_s: 300 })
  await sql`update sessions set created_at = now() - interval '301 seconds' where user_id = ${owner.id}`
  expect((await switchTo(home, strict.orgId)).body).toMatchObject({ status: 409, code: 'invalid_state' })
  expect((await home.get('/portfolios')).status).toBe(200)
})

test('an API key stays where it is, and the body names nothing but the organisation', async ({ owner, newKey }) => {
  expect((await switchTo(await newKey(owner), owner.orgId)).status).toBe(403)
  for (const body of [{}, { organization_id: null }, { organization_id: owner.orgId, roles: ['owner'] }])
    expect((await owner.post('/auth/switch-organization', body)).body.code).toBe('validation_failed')
})
