import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { expect } from 'vitest'
import type { Answer, Client } from './api.ts'

/** A part of a multipart body; one with a file name is a file. */
export type Part = { name: string; value: string | Buffer; fileName?: string }

const boundary = '----tenon-test-boundary'
export const multipartType = { 'content-type': `multipart/form-data; boundary=${boundary}` }

const headOf = ({ name, fileName }: Part) =>
  `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${fileName === undefined ? '' : `; filename="${fileName}"`}\r\n\r\n`
const bodyEnd = `\r\n--${boundary}--\r\n`

/** The parts as a body, in this order. */
export const multipart = (parts: Part[]): Buffer =>
  Buffer.concat([
    ...parts.flatMap((part, at) => [
      Buffer.from(`${at === 0 ? '' : '\r\n'}${headOf(part)}`),
      Buffer.isBuffer(part.value) ? part.value : Buffer.from(part.value),
    ]),
    Buffer.from(bodyEnd),
  ])

export type Fields = Record<string, string | object | boolean>

const fieldParts = (fields: Fields): Part[] =>
  Object.entries(fields).map(([name, value]) => ({
    name,
    value: typeof value === 'object' ? JSON.stringify(value) : String(value),
  }))

const pathOf = (portfolioId: string, target = 'loans') => `/portfolios/${portfolioId}/${target}/import`

/** Imports a file whole into a target of this name. */
export const importInto =
  (target: string) =>
  (
    client: Client,
    portfolioId: string,
    file: string | Buffer,
    fields: Fields = {},
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const parts = [...fieldParts(fields), { name: 'file', value: file, fileName: 'tape.csv' }]
    return client.send('POST', pathOf(portfolioId, target), multipart(parts), { ...multipartType, ...headers })
  }

/** Imports a file of loans whole. */
export const importCsv = importInto('loans')

/** Sends parts as they are. */
export const sendParts = (client: Client, portfolioId: string, parts: Part[]): Promise<Answer> =>
  client.send('POST', pathOf(portfolioId), multipart(parts), multipartType)

export const header = 'loan_number,borrower_name,currency,originated_on,original_principal,status'

/** Rows under {@link header}, numbered from `first`. */
export const rowsOf = (count: number, first = 1): string =>
  Array.from({ length: count }, (_, at) => `L-${first + at},ABC Hobbycraft,USD,2020-01-31,60000.00,current\n`).join('')

/** A good file of so many rows. */
export const tapeOf = (count: number): string => `${header}\n${rowsOf(count)}`

/** Of a tape with a balance: number, status, balance and origination. */
export const balanceHeader = `${header},balance`
export const balanceRow = (number: number | string, balance: string, status = 'current', originatedOn = '2020-01-31') =>
  `L-${number},ABC Hobbycraft,USD,${originatedOn},60000.00,${status},${balance}\n`
export const balanceTape = (...rows: string[]): string => `${balanceHeader}\n${rows.join('')}`

export const countLoans = async (client: Client, portfolioId: string): Promise<number> =>
  (await client.get(`/loans?portfolio_id=${portfolioId}&limit=1&total=exact`)).body.total

/** What an import says of itself, as soon as it says so. */
export const untilImport = (client: Client, id: string, expected: object) =>
  expect
    .poll(async () => (await client.get(`/imports/${id}`)).body, { timeout: 20_000, interval: 20 })
    .toMatchObject(expected)

/** An upload over a real connection that the test sends bit by bit. */
export type OpenUpload = {
  send(text: string): Promise<void>
  /** Ends the body as it should end. */
  end(): void
  /** Ends the body here, in the middle of its file. */
  finish(): void
  /** Cuts the connection. */
  cut(): void
  answer: Promise<{ status: number; body: Record<string, unknown>; headers: IncomingMessage['headers'] }>
}

/** Begins an upload: the fields and the file's first bytes. */
export async function beginUpload(
  address: string,
  token: string | undefined,
  portfolioId: string,
  fields: Fields,
  text = `${header}\n`,
  headers: Record<string, string> = {},
): Promise<OpenUpload> {
  const request = http.request(`${address}/api/v1${pathOf(portfolioId)}`, {
    method: 'POST',
    headers: { ...multipartType, authorization: `Bearer ${token}`, ...headers },
  })
  const answer = once(request, 'response').then(async ([found]) => {
    const response = found as IncomingMessage
    let body = ''
    for await (const chunk of response.setEncoding('utf8')) body += chunk
    return { status: response.statusCode ?? 0, body: JSON.parse(body), headers: response.headers }
  })
  answer.catch(() => undefined)
  request.on('error', () => undefined)
  const send = (bytes: string | Buffer) => new Promise<void>((done) => request.write(bytes, () => done()))
  const head = multipart([...fieldParts(fields), { name: 'file', value: text, fileName: 'tape.csv' }])
  await send(head.subarray(0, head.length - bodyEnd.length))
  const end = () => void (request.writableEnded || request.end(bodyEnd))
  return { send, end, finish: () => request.end(), cut: () => request.destroy(), answer }
}
