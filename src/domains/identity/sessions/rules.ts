import Bowser from 'bowser'

/** A refresh token that was just used may come again from a parallel request: it then gets the same successor. */
export const refreshGraceS = 10

/** How long `remember_me` keeps a session alive. */
export const rememberMeS = 30 * 86_400

/** `Firefox on Linux` from a user agent, or its first word where it is no browser's. */
export function deviceOf(userAgent: string | undefined): string | null {
  if (userAgent === undefined || userAgent.trim() === '') return null
  const { browser, os } = Bowser.parse(userAgent)
  const name = browser.name || userAgent.split(/[\s/]/)[0]
  return [name, os.name].filter(Boolean).join(' on ').slice(0, 100)
}
