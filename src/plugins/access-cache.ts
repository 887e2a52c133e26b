import postgres from 'postgres'
import { type AccessChange, accessChannel } from '../db/access.ts'
import { BoundedMap } from '../lib/bounded-map.ts'

/** What a credential may do, as the session check found it. */
export type Access = {
  session_id: string
  user_id: string
  org_id: string | null
  roles: readonly string[]
  permissions: ReadonlySet<string>
  is_superuser: boolean
  verified: boolean
  /** Seconds the session had left when it was read, by the database's clock. */
  expires_in_s: number
}

/** `principal` names the credential in limits and keys: `user:<id>`. */
export type Auth = Access & { principal: string }

type Entry = { auth: Auth; deadline: number }

/** A listener that gives no sign for this long may be dead, and what is cached may be stale. */
const trustMs = 2_000
const beatMs = 1_000
const reconnectMs = 5_000

/**
 * What each session may do, kept in this process and dropped when Postgres NOTIFY says it changed. The driver
 * gives no sign when its listening connection dies, so every instance sends itself a beat through the
 * database each second and trusts the cache only while beats arrive; without them each request asks the database.
 */
export class AccessCache {
  readonly #find: (sessionId: string) => Promise<Access | undefined>
  readonly #entries = new BoundedMap<string, Entry>(100_000)
  #control: postgres.Sql | undefined
  #timer: NodeJS.Timeout | undefined
  #url = ''
  #lastBeat = Number.NEGATIVE_INFINITY
  #connectedAt = Number.NEGATIVE_INFINITY
  #generation = 0

  /** @param find reads a session that is neither ended nor expired, with its user and membership */
  constructor(find: (sessionId: string) => Promise<Access | undefined>) {
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
  peek(sessionId: string): Auth | undefined {
    const now = performance.now()
    if (now - this.#lastBeat > trustMs) return undefined
    const entry = this.#entries.get(sessionId)
    return entry !== undefined && entry.deadline > now ? entry.auth : undefined
  }

  /** Asks the database, and keeps the answer unless something changed meanwhile. */
  async load(sessionId: string): Promise<Auth | undefined> {
    const generation = this.#generation
    const access = await this.#find(sessionId)
    if (access === undefined) return undefined
    const auth = { ...access, principal: `user:${access.user_id}` }
    if (generation === this.#generation)
      this.#entries.set(sessionId, { auth, deadline: performance.now() + access.expires_in_s * 1_000 })
    return auth
  }

  /** Forgets whom the change concerns: at once here, and through the channel everywhere else. */
  forget(change: AccessChange): void {
    this.#generation++
    const [kind, id] = change.split(':')
    if (kind === 'session') this.#entries.delete(id as string)
    else
      for (const [sessionId, { auth }] of this.#entries)
        if ((kind === 'user' ? auth.user_id : auth.org_id) === id) this.#entries.delete(sessionId)
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
