import type { FastifyInstance } from 'fastify'
import type { Tokens } from '../auth/schemas.ts'
import type { Session } from './queries.ts'

/** What a client gets for a session: a fresh access token beside its refresh token. */
export const tokensOf = (app: FastifyInstance, session: Session, refreshToken: string): Tokens => ({
  access_token: app.signAccessToken(session),
  refresh_token: refreshToken,
  token_type: 'bearer',
  expires_in: app.config.auth.accessTokenTtlS,
})
