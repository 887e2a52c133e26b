/** Somebody signed in to the service under test. */
export type Account = { token: string; orgId: string }

export const authorization = ({ token }: Pick<Account, 'token'>) => ({ authorization: `Bearer ${token}` })

/** One call that must succeed. @throws Error with the answer when it does not */
export async function call<T>(url: string, options: RequestInit & { json?: unknown } = {}): Promise<T> {
  const { json, ...init } = options
  const answer = await fetch(url, {
    ...init,
    ...(json !== undefined && { method: 'POST', body: JSON.stringify(json) }),
    headers: { ...(json !== undefined && { 'content-type': 'application/json' }), ...init.headers },
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${init.method ?? 'GET'} ${new URL(url).pathname}: ${answer.status} ${text}`)
  return JSON.parse(text) as T
}

export async function signUp(url: string): Promise<Account> {
  const [email, password] = ['bench@example.com', 'Correct-Horse-7']
  await call(`${url}/api/v1/auth/register`, { json: { email, password } })
  const { access_token: token } = await call<{ access_token: string }>(`${url}/api/v1/auth/login`, {
    json: { username: email, password },
  })
  const me = await call<{ organization: { id: string } }>(`${url}/api/v1/auth/me`, {
    headers: authorization({ token }),
  })
  return { token, orgId: me.organization.id }
}

/** @returns the new portfolio's id */
export async function createPortfolio(url: string, account: Account, name: string): Promise<string> {
  const json = { name, currency: 'USD' }
  const { id } = await call<{ id: string }>(`${url}/api/v1/portfolios`, { json, headers: authorization(account) })
  return id
}
