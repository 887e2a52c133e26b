import { lookup } from 'node:dns/promises'
import http from 'node:http'
import https from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { admission, isNetwork } from './address.ts'

/** Every address of a host name. */
type Resolve = (host: string) => Promise<string[]>

export type Outgoing = {
  method?: string
  headers?: Record<string, string>
  body?: string | Buffer
  /** Host names, addresses and networks (CIDR) that may be called although they are not public, and without TLS. */
  allow: readonly string[]
  /** From the look-up of the name to the last byte of the answer. */
  timeoutMs?: number
  /** Of the answer's body. */
  bytesMax?: number
  /** In place of the system's resolver. */
  resolve?: Resolve
}

export type OutgoingAnswer = { status: number; headers: http.IncomingHttpHeaders; body: Buffer }

/** Why a URL is not called, or an answer not taken; the message is fit for whoever gave the URL. */
export class OutgoingRefused extends Error {
  override readonly name = 'OutgoingRefused'
}

const resolveAll: Resolve = async (host) =>
  (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address)

/**
 * Calls a URL that somebody typed in. The name is looked up once, each of its addresses must be public, and the
 * connection goes to one of those and nowhere else. A redirect is an answer like another: it is not followed.
 * @throws OutgoingRefused for the URL, its addresses, or an answer too large or late; network errors as they come
 */
export async function callOutside(text: string, options: Outgoing): Promise<OutgoingAnswer> {
  const { allow, timeoutMs = 10_000, resolve = resolveAll } = options
  const url = readUrl(text)
  const signal = AbortSignal.timeout(timeoutMs)
  const late = new Promise<never>((_go, refuse) => {
    const refusal = () => refuse(new OutgoingRefused(`${url.host} did not answer within ${timeoutMs} ms.`))
    signal.addEventListener('abort', refusal, { once: true })
  })
  const call = async () => send(url, await addressesOf(url, allow, resolve), options, signal)
  return Promise.race([call(), late])
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new OutgoingRefused('The URL must begin with https://.')
  if (url.username !== '' || url.password !== '')
    throw new OutgoingRefused('The URL must hold no user name or password.')
  return url
}

/** The host's addresses, once all of them may be called: one that may not is reason enough to distrust the name. */
async function addressesOf({ protocol, hostname }: URL, allow: readonly string[], resolve: Resolve): Promise<string[]> {
  const host = hostname.replace(/^\[|\]$/g, '')
  const trusted = allow.some((one) => one.toLowerCase() === host)
  const allowed = admission(allow.filter(isNetwork))
  const addresses = isIP(host) ? [host] : await resolve(host)
  if (addresses.length === 0) throw new OutgoingRefused(`${host} has no address.`)
  for (const address of addresses) {
    if (trusted || allowed?.(address)) continue
    if (!isPublic(address)) throw new OutgoingRefused(`${host} is at an address that may not be called from here.`)
    if (protocol === 'http:') throw new OutgoingRefused('The URL must begin with https://.')
  }
  return addresses
}

/** IPv4 inside of IPv6, translated or tunnelled, is never public: what is at its end cannot be told. */
function isPublic(text: string): boolean {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.parse(text)
  const global = address.kind() === 'ipv4' || ((address as ipaddr.IPv6).parts[0] ?? 0) >> 13 === 1
  return global && address.range() === 'unicast'
}

function send(url: URL, addresses: string[], options: Outgoing, signal: AbortSignal): Promise<OutgoingAnswer> {
  const { method = 'GET', headers, body, bytesMax = 1_048_576 } = options
  const checked: LookupFunction = (_host, { all }, done) => {
    const found = addresses.map((address) => ({ address, family: isIP(address) }))
    if (all) done(null, found)
    else done(null, addresses[0] as string, found[0]?.family)
  }
  const { request } = url.protocol === 'https:' ? https : http
  return new Promise((resolve, reject) => {
    // Without an agent the connection is this call's own: none is reused that went to another address.
    const sent = request(url, { method, headers, lookup: checked, agent: false, signal })
    sent.once('error', reject)
    sent.once('response', (answer) => {
      const pieces: Buffer[] = []
      let bytes = 0
      answer.on('data', (piece: Buffer) => {
        bytes += piece.length
        pieces.push(piece)
        if (bytes > bytesMax) answer.destroy(new OutgoingRefused(`${url.host} answered more than ${bytesMax} bytes.`))
      })
      answer.once('error', reject)
      answer.once('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(pieces) }),
      )
    })
    sent.end(body)
  })
}
