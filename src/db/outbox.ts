import { v7 as uuidv7 } from 'uuid'
import { clientOf, type Db } from './client.ts'

/** Every message there is. */
export type MailTemplate =
  | 'verify_email'
  | 'already_registered'
  | 'reset_password'
  | 'change_email'
  | 'email_changed'
  | 'password_changed'
  | 'invitation'
  | 'new_device'
  | 'token_theft'
  | 'factor_changed'
  | 'factor_locked'
  | 'organization_deleted'
  | 'ownership_transferred'

export type Mail = {
  template: MailTemplate
  /** A canonical address; whether an account has it is found out when the mail is sent. */
  recipient: string
  /** What the template tells and the token binds: ids and names, never a secret. */
  data?: Record<string, unknown>
}

/** Puts mail into the outbox; it goes out when the transaction has committed. */
export async function enqueueMail(db: Db, { template, recipient, data = {} }: Mail): Promise<void> {
  await clientOf(db)`
    insert into mail_outbox (id, template, recipient, data)
    values (${uuidv7()}, ${template}, ${recipient}, ${data as never})`
}
