import { expect } from 'vitest'
import type { Api } from './api.ts'

type Kept = Api['app']['mail']['kept'][number]

/** Sends what is due, and gives what this address has got so far, newest first. */
export async function mailTo({ app }: Api, address: string): Promise<Kept[]> {
  await app.runTask('mail')
  return app.mail.kept.filter(({ to }) => to === address)
}

/** Sends what is due, and gives the token of the newest link that this address got. */
export async function tokenTo(api: Api, address: string, page: string): Promise<string> {
  const mail = await mailTo(api, address)
  const link = mail.flatMap(({ links }) => links).find((url) => new URL(url).pathname === page)
  expect(link, `a link to ${page} in the mail to ${address}`).toBeDefined()
  return new URL(link as string).searchParams.get('token') as string
}
