import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Nullable, named, ref, Timestamp, Uuid } from '../../../lib/schema.ts'

/** Named apart from the sessions of other domains. */
export const AuthSession = named(
  'AuthSession',
  Type.Object({
    id: Uuid(),
    device: Nullable(Type.String({ description: 'what the user agent says it is', examples: ['Firefox on Linux'] })),
    user_agent: Nullable(Type.String()),
    ip: Nullable(Type.String({ description: 'the address it was opened from' })),
    created_at: Timestamp(),
    last_seen_at: Timestamp({ description: 'the sign-in or the newest refresh' }),
    expires_at: Timestamp({ description: 'moves with every refresh' }),
    mfa: Type.Boolean({ description: 'opened with a second factor' }),
    remember_me: Type.Boolean(),
    impersonated: Type.Boolean({ description: 'opened by the platform in this user’s name' }),
    current: Type.Boolean({ description: 'the session that asks' }),
  }),
)
export type AuthSession = Static<typeof AuthSession>

export const AuthSessionPage = pageOf('AuthSessionPage', ref(AuthSession))

export const SessionQuery = pageQuery(['created_at'], {})
export type SessionQuery = Static<typeof SessionQuery>

export const SessionsRevoked = named(
  'SessionsRevoked',
  Type.Object({ revoked: Type.Integer({ description: 'how many sessions ended' }) }),
)
