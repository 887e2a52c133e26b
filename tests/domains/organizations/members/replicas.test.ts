import { describe, expect } from 'vitest'
import { Client, type Person } from '../../../helpers/api.ts'
import { test as base } from '../../../helpers/sql.ts'

/** The longest a replica may go on trusting what it cached. */
const withinMs = 2_000

const test = base.extend<{ seen: (person: Person, path: string) => Promise<number> }>({
  /** How the replica answers this person, first when it knows him. */
  seen: async ({ replica }, use) =>
    use(async (person, path) => (await new Client(replica.app, person.token!).get(path)).status),
})

const memberPath = async (owner: Person, { id }: Person) =>
  `/members/${(await owner.get(`/members?user_id=${id}`)).body.data[0].id}`

const ends: [string, number, (owner: Person, person: Person) => Promise<unknown>][] = [
  [
    'a role that was taken',
    403,
    async (owner, person) => owner.patch(await memberPath(owner, person), { roles: ['guest'] }),
  ],
  [
    'a role that was taken in bulk',
    403,
    async (owner, person) => owner.post('/users/bulk', { items: [{ id: person.id, roles: ['guest'] }] }),
  ],
  ['a member who was removed', 401, async (owner, person) => owner.delete(await memberPath(owner, person))],
  ['a user who was deactivated', 401, (owner, person) => owner.patch(`/users/${person.id}`, { is_active: false })],
  ['a user who was deleted', 401, (owner, person) => owner.delete(`/users/${person.id}`)],
  [
    'a user whose password was set',
    401,
    (owner, person) => owner.patch(`/users/${person.id}`, { password: 'Another-Horse-8' }),
  ],
]

describe('here at once, and on every replica, ends the access of', () => {
  for (const [what, status, end] of ends)
    test(what, async ({ api, owner, replica, seen }) => {
      const person = await api.newUser(owner, 'member')
      expect([(await person.get('/portfolios')).status, await seen(person, '/portfolios')]).toEqual([200, 200])
      const done = (await end(owner, person)) as { status: number }
      expect(done.status).toBeLessThan(300)
      expect((await person.get('/portfolios')).status).toBe(status)
      await expect.poll(() => seen(person, '/portfolios'), { timeout: withinMs, interval: 5 }).toBe(status)
      expect(replica.app.access).not.toBe(api.app.access)
    })
})
