import type { Answer, Client } from './api.ts'
import { multipart, multipartType } from './imports.ts'

/** Asks how a file is to be read. */
export const suggest = (
  client: Client,
  file: string | Buffer,
  fields: Record<string, string> = {},
): Promise<Answer> => {
  const parts = Object.entries(fields).map(([name, value]) => ({ name, value }))
  const body = multipart([...parts, { name: 'file', value: file, fileName: 'tape.csv' }])
  return client.send('POST', '/import-mappings/suggest', body, multipartType)
}
