import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from './errors.ts'
import type { Page } from './page.ts'

type Versioned = { version?: number }

/** The resource with its version as ETag. */
export function send<T extends object>(reply: FastifyReply, resource: T & Versioned): T {
  if (resource.version !== undefined) reply.header('etag', `"${resource.version}"`)
  return resource
}

/** 201 with `Location`. */
export function created<T extends object>(reply: FastifyReply, location: string, resource: T & Versioned): T {
  reply.code(201).header('location', location)
  return send(reply, resource)
}

/** A page with its `Link: rel="next"`. */
export function sendPage<T>(request: FastifyRequest, reply: FastifyReply, page: Page<T>): Page<T> {
  if (page.next_cursor !== null) {
    const url = new URL(request.url, 'http://host')
    url.searchParams.set('cursor', page.next_cursor)
    reply.header('link', `<${url.pathname}${url.search}>; rel="next"`)
  }
  return page
}

/**
 * The version that `If-Match` asks for; undefined when the change applies to whatever is there.
 * @throws Problem `version_mismatch` for a tag no version of ours has
 */
export function ifMatch({ headers }: FastifyRequest): number | undefined {
  const tag = headers['if-match']
  if (tag === undefined || tag === '*') return undefined
  const version = /^"([0-9]{1,9})"$/.exec(tag)?.[1]
  if (version === undefined)
    throw new Problem('version_mismatch', 'If-Match must be an ETag of this resource with its quotes, such as "3".')
  return Number(version)
}
