import { constants } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Redis } from 'ioredis'
import nodemailer from 'nodemailer'
import type { Config } from '../config.ts'
import { reasonOf } from './database.ts'
import { type Finding, fail, ok, warn } from './doctor-findings.ts'

const timeoutMs = 5_000
const mib = 1_048_576

export function checkPublicUrl({ production, publicUrl }: Config): Finding[] {
  const { protocol, hostname } = new URL(publicUrl)
  const local = /^(localhost|127\.[\d.]+|\[::1?\]|0\.0\.0\.0)$/.test(hostname)
  if (production && local)
    return [fail('public_url', `Links in mail would lead to ${publicUrl}: set PUBLIC_URL to what clients call.`)]
  if (production && protocol !== 'https:')
    return [
      fail('public_url', `${publicUrl} sends passwords in the clear: put TLS in front, and https into PUBLIC_URL.`),
    ]
  return [ok('public_url', publicUrl)]
}

export function checkProxies({ production, http }: Config): Finding[] {
  if (http.trustedProxies) return [ok('proxies', `X-Forwarded-For counts from ${http.trustedProxies.join(', ')}.`)]
  if (!production) return [ok('proxies', 'No proxy is trusted.')]
  return [
    warn(
      'proxies',
      'Behind a proxy, name it in TRUSTED_PROXIES, or all its clients count as one address; without one, all is well.',
    ),
  ]
}

export async function checkStorage({ dataDir, database, production }: Config): Promise<Finding[]> {
  const existing = await nearest(dataDir)
  if (!(await stat(existing)).isDirectory())
    return [fail('storage', `${existing} is no directory: set DATA_DIR to one.`)]
  const writable = await access(existing, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
  const needed = !production || database.url === undefined
  if (!writable)
    return [
      (needed ? fail : warn)(
        'storage',
        `${existing} cannot be written to: give it to the service's user, or set DATA_DIR.`,
      ),
    ]
  const { bavail, bsize } = await statfs(existing)
  const free = Math.floor((bavail * bsize) / mib)
  if (free < 1_024)
    return [
      (free < 100 ? fail : warn)('storage', `Only ${free} MiB are free at ${existing}: make room, or move DATA_DIR.`),
    ]
  return [ok('storage', `${dataDir} can be written to; ${free} MiB are free.`)]
}

/** The directory, or the one in which it would be made. */
async function nearest(path: string): Promise<string> {
  const found = await stat(path).then(
    () => true,
    () => false,
  )
  return found || dirname(path) === path ? path : nearest(dirname(path))
}

/** Connects, says EHLO and signs in; sends nothing. */
export async function checkMail({ mail, production }: Config): Promise<Finding[]> {
  if (mail.smtpUrl === undefined)
    return production
      ? [warn('mail', 'SMTP_URL is not set: mail waits in the outbox until it is.')]
      : [ok('mail', 'SMTP_URL is not set: mail is kept in the mailbox of development.')]
  const { hostname } = new URL(mail.smtpUrl)
  const times = {
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
  }
  const transport = nodemailer.createTransport({ url: mail.smtpUrl, ...times })
  try {
    await transport.verify()
    return [ok('mail', `${hostname} takes our mail.`)]
  } catch (error) {
    return [fail('mail', `${hostname} refuses: ${reasonOf(error)}. Check SMTP_URL.`)]
  } finally {
    transport.close()
  }
}

export function checkVerification({ auth, mail, production }: Config): Finding[] {
  if (!auth.requireVerifiedEmail) return [ok('verification', 'Addresses need not be verified.')]
  if (mail.smtpUrl !== undefined || !production) return [ok('verification', 'Addresses are verified by mail.')]
  return [
    fail('verification', 'Nobody can verify an address without mail: set SMTP_URL, or REQUIRE_VERIFIED_EMAIL=false.'),
  ]
}

export async function checkRedis({ http }: Config): Promise<Finding[]> {
  if (http.redisUrl === undefined)
    return [ok('redis', 'REDIS_URL is not set: each instance counts rate limits by itself.')]
  const redis = new Redis(http.redisUrl, {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    retryStrategy: () => null,
  })
  let reason = ''
  redis.on('error', (error) => {
    reason = reasonOf(error)
  })
  try {
    await redis.connect()
    await redis.ping()
    return [ok('redis', 'It answers.')]
  } catch (error) {
    return [fail('redis', `It cannot be used: ${reason || reasonOf(error)}. Requests pass uncounted: check REDIS_URL.`)]
  } finally {
    redis.disconnect()
  }
}
