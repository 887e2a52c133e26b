import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { Type } from '@sinclair/typebox'
import type { ErrorObject } from 'ajv'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isUnavailable } from '../db/client.ts'
import { databaseError } from '../db/errors.ts'
import { type FieldError, Problem, type ProblemCode, problems } from '../lib/errors.ts'
import { faultMessage } from '../lib/faults.ts'
import { named, ref, StringEnum, Uuid } from '../lib/schema.ts'

export const problemType = 'application/problem+json'

const ProblemCodeModel = named(
  'ProblemCode',
  StringEnum(Object.keys(problems), { description: 'what is wrong, for programs; further codes may come' }),
)

const FieldErrorModel = named(
  'FieldError',
  Type.Object({
    pointer: Type.String({ description: 'JSON pointer into the request: /body/…, /querystring/…' }),
    code: Type.String({ description: 'for programs', examples: ['required'] }),
    message: Type.String({
      description: 'for people; the name of the field stands before it',
      examples: ['is required'],
    }),
  }),
)

/** RFC 9457. */
const ProblemModel = named(
  'Problem',
  Type.Object(
    {
      type: Type.String({ description: 'URI reference of the kind of problem', examples: ['/problems/not_found'] }),
      title: Type.String(),
      status: Type.Integer(),
      code: ref(ProblemCodeModel),
      detail: Type.String({ description: 'for people: what is wrong, and what to do' }),
      instance: Type.String({ description: 'the path that was asked for' }),
      request_id: Type.String(),
      errors: Type.Optional(Type.Array(ref(FieldErrorModel), { description: 'the first 100' })),
      import_id: Type.Optional(Uuid({ description: 'the import that failed' })),
    },
    { additionalProperties: true },
  ),
)

/** Every error, from the router's to the database's, answers as a problem document and tells nothing of its inside. */
export default fp(
  async (app: FastifyInstance) => {
    for (const model of [ProblemCodeModel, FieldErrorModel, ProblemModel]) app.addSchema(model)
    app.setErrorHandler((error: Error, request, reply) => sendProblem(toProblem(error, request), request, reply))
    app.setNotFoundHandler((request, reply) =>
      sendProblem(new Problem('not_found', noSuchPath(request)), request, reply),
    )
  },
  { name: 'errors' },
)

/** The path may be there for another method, or without the slash at its end. */
const noSuchPath = ({ method }: FastifyRequest) =>
  `Nothing answers ${method} at this path; /docs lists every path with its methods, and none ends in a slash.`

/** Answers for requests the router itself cannot read, such as a broken percent-encoding; no hook runs for them. */
export const frameworkErrors = (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
  sendProblem(toProblem(error, request), request, reply.headers(request.server.securityHeaders))

/** Answers for bytes that are no HTTP request; there is no request object yet. */
export function clientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const code: ProblemCode =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'headers_too_large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'request_timeout'
        : 'bad_request'
  const [status, title] = problems[code]
  const body = JSON.stringify({
    type: `/problems/${code}`,
    title,
    status,
    code,
    detail: 'The bytes received are no valid HTTP request.',
  })
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: ${problemType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply) {
  const [status, title] = problems[problem.code]
  const { errors, retryAfterS, members, cause } = problem.extras
  if (status >= 500) request.log.error({ err: cause ?? problem }, problem.message)
  if (status === 401) reply.header('www-authenticate', challenge(problem.code))
  const wait = retryAfterS ?? (status === 503 ? 1 : undefined)
  if (wait !== undefined) reply.header('retry-after', wait)
  const document = {
    type: `/problems/${problem.code}`,
    title,
    status,
    code: problem.code,
    detail: problem.message,
    instance: request.url.split('?', 1)[0],
    request_id: request.id,
    ...(errors && { errors }),
    ...members,
  }
  return reply
    .code(status)
    .header('x-request-id', request.id)
    .type(problemType)
    .serializer((value: string) => value)
    .send(JSON.stringify(document))
}

const challenge = (code: ProblemCode) =>
  code === 'unauthenticated' || code === 'invalid_credentials' || code === 'totp_required'
    ? 'Bearer realm="tenon"'
    : 'Bearer realm="tenon", error="invalid_token"'

function wrongType({ headers, routeOptions }: FastifyRequest): string {
  const { consumes = ['application/json'] } = (routeOptions.schema ?? {}) as { consumes?: string[] }
  const sent = headers['content-type']?.split(';')[0]?.slice(0, 100)
  return `Send the body with Content-Type: ${consumes.join(' or ')}, not ${sent ? `as ${sent}` : 'without one'}.`
}

type AnyError = Error & Partial<FastifyError>

function toProblem(error: AnyError, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error
  if (error.validation) return lacksId(error) ? new Problem('not_found', noSuchPath(request)) : validationProblem(error)
  const mapped = error.code === undefined ? undefined : frameworkProblem(error.code, request)
  if (mapped) return mapped
  if (error instanceof SyntaxError && error.statusCode === 400)
    return new Problem('malformed_json', 'The body is not valid JSON, or holds a forbidden key such as __proto__.')
  return databaseProblem(error) ?? statusProblem(error)
}

function frameworkProblem(code: string, request: FastifyRequest): Problem | undefined {
  switch (code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Problem('unsupported_media_type', wrongType(request))
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Problem('payload_too_large', 'The body is larger than this operation accepts.')
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new Problem(
        'malformed_json',
        'Content-Type says JSON, but there is no body: send one, or no Content-Type.',
      )
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new Problem('malformed_json', 'The body is not valid JSON, or holds a forbidden key such as __proto__.')
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new Problem('bad_request', 'The body is not as long as Content-Length says.')
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_ASYNC_CONSTRAINT':
      return new Problem('bad_request', 'The path is not valid percent-encoded UTF-8.')
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Problem('uri_too_long', 'A path parameter is too long.')
    case 'FST_ERR_HANDLER_TIMEOUT':
      return tookTooLong(request)
    default:
      return undefined
  }
}

/** Why a request is ended before its answer. */
export const tookTooLong = ({ raw }: FastifyRequest): Problem =>
  raw.complete
    ? new Problem('unavailable', 'The request took too long; try again later.', { retryAfterS: 5 })
    : new Problem('request_timeout', 'The body did not arrive in time.')

/** To the router, `/loans/` is a loan whose id is empty. */
const lacksId = ({ validation, validationContext }: AnyError) =>
  validationContext === 'params' && validation?.some((fault) => (fault as ErrorObject).data === '')

function validationProblem(error: AnyError): Problem {
  const context = error.validationContext ?? 'body'
  const byPointer = new Map<string, FieldError>()
  for (const fault of (error.validation ?? []).slice(0, 100)) {
    const { instancePath, keyword, params, data } = fault as ErrorObject
    const named = params.missingProperty ?? params.additionalProperty ?? params.propertyName
    const pointer = `/${context}${instancePath}${named === undefined ? '' : `/${escapePointer(String(named))}`}`
    const code = keyword === 'additionalProperties' ? 'unknown_field' : keyword
    const repeated = keyword === 'type' && context !== 'body' && Array.isArray(data)
    const message = repeated ? 'is there more than once' : faultMessage(fault as ErrorObject)
    // One error a field: what is empty need not be told its form as well.
    if (!byPointer.has(pointer)) byPointer.set(pointer, { pointer, code, message })
  }
  const errors = [...byPointer.values()]
  const detail =
    errors.length === 1 ? `${errors[0]?.pointer} ${errors[0]?.message}` : `${errors.length} fields are invalid`
  return new Problem('validation_failed', detail, { errors })
}

const escapePointer = (text: string) => text.slice(0, 200).replaceAll('~', '~0').replaceAll('/', '~1')

function databaseProblem(error: Error): Problem | undefined {
  if (isUnavailable(error))
    return new Problem('unavailable', 'The database cannot be reached just now; try again in a moment.', {
      retryAfterS: 1,
      cause: error,
    })
  switch (databaseError(error)?.code) {
    case '57014':
      return new Problem('unavailable', 'The query took too long and was cancelled; narrow it down.', {
        retryAfterS: 5,
        cause: error,
      })
    case '40001':
    case '40P01':
      return new Problem('unavailable', 'The change met another one at the same moment; try again.', {
        retryAfterS: 1,
        cause: error,
      })
    case '55P03':
      return new Problem('resource_busy', 'Another request is changing the same resource; try again when it is done.')
    case '23505':
      return new Problem('already_exists', 'Another resource has the same unique value.')
    case '23503':
      return new Problem('in_use', 'Other resources refer to this one, or it refers to one that does not exist.')
    case '22003':
    case '22007':
    case '22008':
    case '22009':
    case '22021':
    case '22P02':
    case '22P05':
      return new Problem('validation_failed', 'A value is out of range, or holds a character that cannot be stored.')
    default:
      return undefined
  }
}

/** What a library refused with a 4xx of its own keeps its status; everything else is ours to mend. */
function statusProblem(error: AnyError): Problem {
  const status = error.statusCode ?? 500
  if (status === 413) return new Problem('payload_too_large', 'The body is larger than this operation accepts.')
  if (status === 406) return new Problem('not_acceptable', 'The representation asked for is not offered.')
  if (status >= 400 && status < 500)
    return new Problem('bad_request', 'The request could not be understood.', { cause: error })
  return new Problem('internal_error', 'Something went wrong on our side; the request id finds it in the logs.', {
    cause: error,
  })
}
