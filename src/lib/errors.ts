/** One entry per problem the API can answer: its HTTP status and title. The code is the key, and the `type` is `/problems/<code>`. */
export const problems = {
  validation_failed: [400, 'Validation failed'],
  malformed_json: [400, 'Malformed JSON'],
  bad_request: [400, 'Bad request'],
  invalid_cursor: [400, 'Invalid cursor'],
  invalid_idempotency_key: [400, 'Invalid Idempotency-Key'],
  invalid_period: [400, 'Invalid period'],
  invalid_mapping: [400, 'Invalid mapping'],
  multipart_invalid: [400, 'Invalid multipart body'],
  upload_incomplete: [400, 'Upload incomplete'],
  unauthenticated: [401, 'Authentication required'],
  invalid_token: [401, 'Invalid access token'],
  token_expired: [401, 'Access token expired'],
  session_ended: [401, 'Session ended'],
  invalid_credentials: [401, 'Wrong username or password'],
  invalid_api_key: [401, 'Invalid API key'],
  totp_required: [401, 'Second factor required'],
  invalid_refresh_token: [401, 'Invalid refresh token'],
  forbidden: [403, 'Forbidden'],
  registration_closed: [403, 'Registration is closed'],
  step_up_required: [403, 'Step-up required'],
  mfa_required: [403, 'Second factor required'],
  ip_not_allowed: [403, 'Address not allowed'],
  email_unverified: [403, 'E-mail address not verified'],
  not_found: [404, 'Not found'],
  not_acceptable: [406, 'Not acceptable'],
  request_timeout: [408, 'Request timeout'],
  already_exists: [409, 'Already exists'],
  email_taken: [409, 'E-mail already registered'],
  username_taken: [409, 'Username already taken'],
  last_owner: [409, 'Last owner'],
  invalid_state: [409, 'Not possible in this state'],
  in_use: [409, 'Still in use'],
  resource_busy: [409, 'Resource busy'],
  no_active_organization: [409, 'No active organisation'],
  idempotency_in_progress: [409, 'Request in progress'],
  import_in_progress: [409, 'Import in progress'],
  already_imported: [409, 'Already imported'],
  portfolio_archived: [409, 'Portfolio archived'],
  import_cancelled: [409, 'Import cancelled'],
  import_changed: [409, 'Import changed since'],
  version_mismatch: [412, 'Version mismatch'],
  payload_too_large: [413, 'Payload too large'],
  uri_too_long: [414, 'URI too long'],
  unsupported_media_type: [415, 'Unsupported media type'],
  mail_token_invalid: [422, 'Invalid link'],
  invalid_code: [422, 'Wrong code'],
  wrong_password: [422, 'Wrong password'],
  email_domain_not_allowed: [422, 'E-mail domain not allowed'],
  policy_locks_out: [422, 'Policy would lock you out'],
  invitation_mismatch: [422, 'Invitation for another address'],
  idempotency_mismatch: [422, 'Idempotency-Key reused'],
  import_rejected: [422, 'Import rejected'],
  csv_empty: [422, 'Empty CSV'],
  csv_header_invalid: [422, 'Invalid CSV header'],
  csv_malformed: [422, 'Malformed CSV'],
  csv_record_too_large: [422, 'CSV record too large'],
  gzip_invalid: [422, 'Invalid gzip'],
  mapping_column_missing: [422, 'Mapped column missing'],
  currency_mismatch: [422, "Not the portfolio's currency"],
  snapshot_before_origination: [422, 'Snapshot before origination'],
  date_format_ambiguous: [422, 'Ambiguous date format'],
  as_of_without_snapshots: [422, 'Nothing reported for this date'],
  too_many_segments: [422, 'Too many segments'],
  rating_scale_missing: [422, 'No rating scale'],
  unknown_grade: [422, 'No grade of the scale'],
  rating_before_origination: [422, 'Rating before origination'],
  rating_overlap: [422, 'Ratings overlap'],
  rating_after_default: [422, 'Rating after default'],
  rating_action_mismatch: [422, 'Action contradicts the rating'],
  default_rate_inconsistent: [422, 'Inconsistent default rate'],
  account_locked: [429, 'Too many failed attempts'],
  rate_limited: [429, 'Too many requests'],
  headers_too_large: [431, 'Headers too large'],
  internal_error: [500, 'Internal error'],
  unavailable: [503, 'Service unavailable'],
  busy: [503, 'Too busy'],
} as const satisfies Record<string, readonly [number, string]>

export type ProblemCode = keyof typeof problems

/** One offending place of a request: a JSON pointer such as `/body/principal`, a code and a sentence. */
export type FieldError = { pointer: string; code: string; message: string }

export type ProblemExtras = {
  /** Field errors, for validation problems. */
  errors?: FieldError[]
  /** Seconds for `Retry-After`. */
  retryAfterS?: number
  /** Further members of the problem document, such as `import_id`. */
  members?: Record<string, string | number>
  cause?: unknown
}

/** The only error a handler throws on purpose: it becomes an RFC 9457 problem document. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly statusCode: number
  readonly extras: ProblemExtras

  constructor(code: ProblemCode, detail: string, extras: ProblemExtras = {}) {
    super(detail, { cause: extras.cause })
    this.name = 'Problem'
    this.code = code
    this.statusCode = problems[code][0]
    this.extras = extras
  }
}

/** The one answer for what does not exist and for what belongs to another organisation. */
export const notFound = () => new Problem('not_found', 'No such resource in this organisation.')

/** The first row, or a 404 that does not tell whether another organisation has it. */
export function oneOr404<T>(rows: readonly T[]): T {
  const row = rows[0]
  if (row === undefined) throw notFound()
  return row
}

/** A body field that the schema cannot judge. @param pointer such as `/body/email` */
export const invalidField = (pointer: string, code: string, message: string) =>
  new Problem('validation_failed', `${pointer} ${message}`, { errors: [{ pointer, code, message }] })

/** @throws Problem `version_mismatch` when the caller saw another version (`If-Match`) */
export function assertVersion({ version }: { version: number }, seen: number | undefined): void {
  if (seen !== undefined && seen !== version)
    throw new Problem(
      'version_mismatch',
      `The resource has version ${version} by now; read it again and repeat the change.`,
    )
}
