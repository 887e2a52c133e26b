import postgres from 'postgres'
import { type AccessChange, accessChannel } from '../db/access.ts'
import { BoundedMap } from '../lib/bounded-map.ts'

/** What a credential may do, as the check found it. */
export type Access = {
  /** Null for an API key, which has an `api_key_id` instead. */
  session_id: string | null
  api_key_id: string | null
  /** The user, or the maker of the key. */
  user_id: string
  org_id: string | null
  roles: readonly string[]
  permissions: ReadonlySet<string>
  is_superuser: boolean
  /** The superuser who acts as this user. */
  impersonator_id: string | null
  verified: boolean
  /** The organisation asks for a second factor, and this session was opened without one. */
  lacks_factor: boolean
  /** Whether the organisation and the key let this address in; undefined where both let all in. */
  admits?: (ip: string) => boolean
  /** Requests a minute; null for the service's own limit. */
  rate_limit: number | null
  /** Seconds for which the session still counts as just proved again. */
  stepped_up_s: number
  /** Seconds the credential had left when it was read, by the database's clock. */
  expires_in_s: number
}

/** `principal` names the credential in limits and keys: `user:<id>`, `user:<id> as <superuser>` or `key:<id>`. */
export type Auth = Access & {
  principal: string
  /** The moment of `performance.now()` until which the session counts as just proved again. */
  stepped_up_until: number
}

type Entry = { auth: Auth; deadline: number }

/** A listener that gives no sign for this long may be dead, and what is cached may be stale. */
const trustMs = 2_000
const beatMs = 1_000
const reconnectMs = 5_000

/**
 * What each session and API key may do, kept in this process and dropped when Postgres NOTIFY says it changed. The driver
 * gives no sign when its listening connection dies, so every instance sends itself a beat through the
 * database each second and trusts the cache only while beats arrive; without them each request asks the database.
 */
export class AccessCache {
  /** Ids of the API keys that were used since somebody last took them. */
  readonly usedKeys = new Set<string>()
  readonly #find: (credential: string) => Promise<Access | undefined>
  readonly #entries = new BoundedMap<string, Entry>(100_000)
  #control: postgres.Sql | undefined
  #timer: NodeJS.Timeout | undefined
  #url = ''
  #lastBeat = Number.NEGATIVE_INFINITY
  #connectedAt = Number.NEGATIVE_INFINITY
  #generation = 0

  /** @param find reads a session by its id or a key by `key:<hash>`, unless it has ended, with its user and membership */
  constructor(find: (credential: string) => Promise<Access | undefined>) {
    this.#find = find
  }

  /** Starts listening and beating; until the first beat is back nothing is trusted. */
  start(url: string): void {
    this.#url = url
    this.#timer = setInterval(() => this.#beat(), beatMs)
    this.#timer.unref()
    this.#beat()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#control?.end({ timeout: 1 })
  }

  /** The cached answer while it can be trusted. */
  peek(credential: string): Auth | undefined {
    const now = performance.now()
    if (now - this.#lastBeat > trustMs) return undefined
    const entry = this.#entries.get(credential)
    return entry !== undefined && entry.deadline > now ? entry.auth : undefined
  }

  /** Asks the database, and keeps the answer unless something changed meanwhile. */
  async load(credential: string): Promise<Auth | undefined> {
    const generation = this.#generation
    const access = await this.#find(credential)
    if (access === undefined) return undefined
    const now = performance.now()
    const { api_key_id, user_id, stepped_up_s, expires_in_s } = access
    const { impersonator_id } = access
    const user = impersonator_id === null ? `user:${user_id}` : `user:${user_id} as ${impersonator_id}`
    const principal = api_key_id === null ? user : `key:${api_key_id}`
    const auth = { ...access, principal, stepped_up_until: now + stepped_up_s * 1_000 }
    if (generation === this.#generation) this.#entries.set(credential, { auth, deadline: now + expires_in_s * 1_000 })
    return auth
  }

  /** Forgets whom the change concerns: at once here, and through the channel everywhere else. */
  forget(change: AccessChange): void {
    this.#generation++
    const [kind, id] = change.split(':')
    if (kind === 'session') return void this.#entries.delete(id as string)
    const field = ({ key: 'api_key_id', user: 'user_id', org: 'org_id' } as const)[kind as 'key' | 'user' | 'org']
    for (const [credential, { auth }] of this.#entries)
      if (auth[field] === id || (kind === 'user' && auth.impersonator_id === id)) this.#entries.delete(credential)
  }

  clear(): void {
    this.#generation++
    this.#entries.clear()
  }

  #heard(payload: string) {
    if (payload === 'beat') this.#lastBeat = performance.now()
    else this.forget(payload as AccessChange)
  }

  /** Sends a beat; where none came back for long, over a new connection. What fails here only stops the trust. */
  #beat() {
    const now = performance.now()
    if (now - Math.max(this.#lastBeat, this.#connectedAt) > reconnectMs) {
      this.#connectedAt = now
      this.#control?.end({ timeout: 0 }).catch(ignore)
      this.#control = postgres(this.#url, {
        max: 1,
        fetch_types: false,
        connect_timeout: 4,
        onnotice: ignore,
        connection: { application_name: 'tenon-access' },
      })
      this.#control
        .listen(
          accessChannel,
          (payload) => this.#heard(payload),
          () => this.clear(),
        )
        .catch(ignore)
    }
    this.#control?.notify(accessChannel, 'beat').catch(ignore)
  }
}

const ignore = () => undefined
