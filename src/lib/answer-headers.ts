type Header = { description: string; required?: true; schema: object }

const text = (description: string): Header => ({ description, schema: { type: 'string' } })
const number = (description: string): Header => ({ description, schema: { type: 'integer', minimum: 0 } })
const required = (header: Header): Header => ({ ...header, required: true })

/** The headers of answers that clients may rely on; a required one is there wherever it is documented. */
export const answerHeaders = {
  'X-Request-Id': required(text('Names the request in logs and problems: its own X-Request-Id, or a new one.')),
  'X-Impersonated-By': text('The superuser who acts in the name of the user, where one does.'),
  'X-RateLimit-Limit': number('Requests that the caller has in a window.'),
  'X-RateLimit-Remaining': number('Those that are left.'),
  'X-RateLimit-Reset': number('Seconds until the window begins anew.'),
  'Retry-After': required(number('Seconds after which to try again.')),
  'WWW-Authenticate': required(text('`Bearer`; with `error="invalid_token"` where the credential is at fault.')),
  Location: required(text('Path of what was made.')),
  ETag: text(
    'The version, for `If-Match`; of a chart its content, for `If-None-Match`. What is read as of another time has none.',
  ),
  Link: text('`rel="next"`: the next page, under the same filters. The last page has none.'),
  'Content-Disposition': text('Suggests a name for a file; JSON has none.'),
}

export type AnswerHeader = keyof typeof answerHeaders

export const everyAnswer: AnswerHeader[] = ['X-Request-Id', 'X-Impersonated-By']
export const countedAnswer: AnswerHeader[] = ['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset']
