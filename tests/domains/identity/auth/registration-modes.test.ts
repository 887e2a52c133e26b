import { randomBytes } from 'node:crypto'
import { describe, expect } from 'vitest'
import { newEmail, password, startApi, test, testWith } from '../../../helpers/api.ts'

const verified = testWith({ REQUIRE_VERIFIED_EMAIL: 'true' })

describe('where addresses must be verified', () => {
  verified('registering answers alike for new and for known addresses', async ({ api }) => {
    const email = newEmail()
    const answers = [email, email].map((each) => api.anonymous.post('/auth/register', { email: each, password }))
    const [first, again] = [await answers[0]!, await answers[1]!]
    expect([first.status, first.body]).toEqual([202, { status: 'verification_required' }])
    expect([again.status, again.body]).toEqual([first.status, first.body])
    const known = Object.keys(first.headers).filter((name) => name !== 'date')
    expect(Object.keys(again.headers).filter((name) => name !== 'date')).toEqual(known)
  })

  verified('a taken username answers alike for new and for known addresses', async ({ api }) => {
    const [known, username] = [newEmail(), `kim-${randomBytes(6).toString('hex')}`]
    expect((await api.anonymous.post('/auth/register', { email: known, password, username })).status).toBe(202)
    for (const email of [known, newEmail()]) {
      const { status, body } = await api.anonymous.post('/auth/register', { email, password, username })
      expect([status, body.code]).toEqual([409, 'username_taken'])
    }
  })

  verified('an unverified user reaches nothing but his account', async ({ api }) => {
    const email = newEmail()
    await api.anonymous.post('/auth/register', { email, password })
    const user = await api.signIn(email)
    expect((await user.get('/auth/me')).status).toBe(200)
    for (const path of ['/portfolios', '/loans', '/users']) {
      const { status, body } = await user.get(path)
      expect([path, status, body.code]).toEqual([path, 403, 'email_unverified'])
    }
    expect((await user.post('/portfolios', { name: 'Book', currency: 'USD' })).status).toBe(403)
    const refreshed = await api.anonymous.post('/auth/refresh', { refresh_token: user.refreshToken })
    expect(refreshed.status).toBe(200)
    expect((await user.post('/auth/logout')).status).toBe(204)
  })
})

test('where registration is not open, nobody registers himself', async () => {
  for (const REGISTRATION of ['closed', 'invite']) {
    const api = await startApi({ REGISTRATION })
    const { status, body } = await api.anonymous.post('/auth/register', { email: newEmail(), password })
    expect([status, body.code]).toEqual([403, 'registration_closed'])
    await api.close()
  }
})
