import jwt from '@fastify/jwt'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { v7 as uuidv7 } from 'uuid'
import { apiKeyPrefix, keyCredential } from '../lib/api-key.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import { keyId } from '../lib/crypto.ts'
import { Problem } from '../lib/errors.ts'
import type { Auth } from './access-cache.ts'

type Claims = { sub: string; sid: string; org: string | null; exp: number }
/** The claims are null for an API key. */
type Credential = { claims: Claims | null; credential: string }

declare module 'fastify' {
  interface FastifyRequest {
    auth: Auth | null
    authProblem: Problem | null
    /** What was read of the request's credential, before it was judged. */
    credential: Credential | null
    /**
     * What the credential is worth by now, for requests that last: its access, or why it has none.
     * @param begun an access token that has expired since the request began still counts
     */
    reidentify(begun?: boolean): Promise<Auth | Problem>
  }
  interface FastifyInstance {
    /** Signs the access token of a session. @param ttlS seconds until it expires, if not ACCESS_TOKEN_TTL */
    signAccessToken(session: { id: string; user_id: string; org_id: string | null }, ttlS?: number): string
  }
}

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: { sub?: string; sid: string; org: string | null; jti: string }
  }
}

const issuer = 'tenon'
const tokenMax = 2_048

/**
 * Finds out who asks, before anything else looks at the request; it refuses nothing by itself (the guard does).
 * Claims are cached by token, as verifying costs more than all the rest of a small request; the session behind
 * them is checked on every request.
 */
export default fp(
  async (app: FastifyInstance) => {
    const { auth } = app.config
    const { access } = app
    const secrets = auth.jwtSecrets
    const namespaces = new Map(secrets.map((secret, index) => [keyId(secret), index === 0 ? 'current' : 'previous']))
    for (const secret of secrets) {
      await app.register(jwt, {
        secret,
        namespace: namespaces.get(keyId(secret)) as string,
        sign: {
          algorithm: 'HS256',
          iss: issuer,
          aud: issuer,
          expiresIn: auth.accessTokenTtlS,
          kid: keyId(secret),
        },
        verify: {
          algorithms: ['HS256'],
          allowedIss: issuer,
          allowedAud: issuer,
          requiredClaims: ['iss', 'aud', 'sub', 'sid', 'exp', 'jti'],
        },
      })
    }
    const signers = app.jwt as unknown as Record<string, typeof app.jwt>
    const known = new BoundedMap<string, Claims>(20_000)

    function claimsOf(token: string): Claims {
      if (token.length > tokenMax) throw invalidToken()
      const cached = known.get(token)
      if (cached !== undefined) {
        if (cached.exp * 1_000 > Date.now()) return cached
        throw new Problem('token_expired', 'The access token has expired; POST /api/v1/auth/refresh gives a new one.')
      }
      const namespace = namespaces.get(headerKeyId(token))
      if (namespace === undefined) throw invalidToken()
      try {
        const claims = signers[namespace]!.verify<Claims>(token)
        known.set(token, claims)
        return claims
      } catch (error) {
        if ((error as { code?: string }).code === 'FAST_JWT_EXPIRED')
          throw new Problem('token_expired', 'The access token has expired; POST /api/v1/auth/refresh gives a new one.')
        throw invalidToken()
      }
    }

    /** @throws Problem for what is no credential */
    function credentialOf(authorization: string): Credential {
      const token = bearer(authorization)
      const claims = token.startsWith(apiKeyPrefix) ? null : claimsOf(token)
      const credential = claims === null ? keyCredential(token) : claims.sid
      if (credential === undefined) throw invalidKey()
      return { claims, credential }
    }

    function judge(claims: Claims | null, found: Auth | undefined): Auth | Problem {
      if (found !== undefined && (claims === null || (found.user_id === claims.sub && found.org_id === claims.org)))
        return found
      return claims === null ? invalidKey() : new Problem('session_ended', 'This session has ended; sign in again.')
    }

    function settle(request: FastifyRequest, reply: FastifyReply, judged: Auth | Problem) {
      if (judged instanceof Problem) {
        request.authProblem = judged
        return
      }
      request.auth = judged
      if (judged.api_key_id !== null) access.usedKeys.add(judged.api_key_id)
      if (judged.impersonator_id !== null) reply.header('x-impersonated-by', judged.impersonator_id)
    }

    app.decorateRequest('auth', null)
    app.decorateRequest('credential', null)
    app.decorateRequest('authProblem', null)
    app.decorate('signAccessToken', ({ id, user_id, org_id }, ttlS = auth.accessTokenTtlS) =>
      signers.current!.sign({ sid: id, org: org_id, jti: uuidv7() }, { sub: user_id, expiresIn: ttlS }),
    )
    app.decorateRequest('reidentify', async function reidentify(this: FastifyRequest, begun = false) {
      try {
        const read = begun ? this.credential : null
        const { claims, credential } = read ?? credentialOf(this.headers.authorization ?? '')
        return judge(claims, access.peek(credential) ?? (await access.load(credential)))
      } catch (error) {
        if (error instanceof Problem) return error
        throw error
      }
    })
    app.addHook('onRequest', (request, reply, done) => {
      const { authorization } = request.headers
      if (authorization === undefined) return done()
      try {
        request.credential = credentialOf(authorization)
        const { claims, credential } = request.credential
        const known = access.peek(credential)
        if (known === undefined) {
          access.load(credential).then((found) => done(void settle(request, reply, judge(claims, found))), done)
          return
        }
        settle(request, reply, judge(claims, known))
      } catch (error) {
        if (!(error instanceof Problem)) throw error
        request.authProblem = error
      }
      done()
    })
  },
  { name: 'auth', dependencies: ['access'] },
)

function bearer(authorization: string): string {
  if (/^bearer /i.test(authorization)) return authorization.slice(7)
  throw new Problem('invalid_token', 'Authorization must be the word Bearer, a space, and an access token or API key.')
}

/** A header with anything but what we write ourselves (jku, jwk, crit, another algorithm) is refused unread. */
function headerKeyId(token: string): string {
  try {
    const header: unknown = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString())
    const { alg, typ, kid, ...more } = header as Record<string, unknown>
    if (alg === 'HS256' && typ === 'JWT' && typeof kid === 'string' && Object.keys(more).length === 0) return kid
  } catch {
    throw invalidToken()
  }
  throw invalidToken()
}

const invalidKey = () =>
  new Problem('invalid_api_key', 'The API key is unknown, expired or revoked, or its maker has lost access.')

const invalidToken = () => new Problem('invalid_token', 'The access token is not one of ours, or is damaged.')
