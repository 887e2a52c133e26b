import { expect } from 'vitest'
import { assertEmailAllowed } from '../../src/db/policy.ts'
import { test } from '../helpers/sql.ts'

test('an organisation takes addresses of the domains it allows only, and of all where it names none', async ({
  api,
  owner,
  sql,
}) => {
  const { db } = api.app.pools.requests
  const check = (email: string) => assertEmailAllowed(db, owner.orgId, email)
  await check('kim@anywhere.example')
  await sql`update organizations set settings = '{"allowed_email_domains": ["example.com", "xn--bcher-kva.de"]}'
    where id = ${owner.orgId}`
  await check('kim@example.com')
  await check('kim@xn--bcher-kva.de')
  for (const email of ['kim@sub.example.com', 'kim@example.com.evil.net', 'kim@notexample.com', 'kim@com'])
    await expect(check(email), email).rejects.toMatchObject({ code: 'email_domain_not_allowed', statusCode: 422 })
})
