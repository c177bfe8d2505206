// Every way callrec can fail, in one table: the HTTP status, whose fault it is and whether trying
// again can help. The envelope, the retry loop and README's table of errors read the same row.

export type Blame = 'client' | 'destination' | 'store' | 'switch' | 'callrec'

interface Row {
  status: number
  blame: Blame
  retry: boolean
}

export const ERRORS = {
  // What a client sent; the names are Crossbar's where it has one.
  parse_error: { status: 400, blame: 'client', retry: false },
  'invalid request envelope': { status: 400, blame: 'client', retry: false },
  'validation error': { status: 400, blame: 'client', retry: false },
  invalid_credentials: { status: 401, blame: 'client', retry: false },
  forbidden: { status: 403, blame: 'client', retry: false },
  bad_identifier: { status: 404, blame: 'client', retry: false },
  not_found: { status: 404, blame: 'client', retry: false },
  faulty_request: { status: 404, blame: 'client', retry: false },
  invalid_method: { status: 405, blame: 'client', retry: false },
  not_acceptable: { status: 406, blame: 'client', retry: false },
  datastore_conflict: { status: 409, blame: 'client', retry: true },
  number_exists: { status: 409, blame: 'client', retry: false },
  account_has_descendants: { status: 409, blame: 'client', retry: false },
  legal_hold: { status: 409, blame: 'client', retry: false },
  wrong_state: { status: 409, blame: 'client', retry: false },
  gone: { status: 410, blame: 'client', retry: false },
  precondition_failed: { status: 412, blame: 'client', retry: false },
  body_too_large: { status: 413, blame: 'client', retry: false },
  length_mismatch: { status: 400, blame: 'client', retry: false },
  range_not_satisfiable: { status: 416, blame: 'client', retry: false },
  locked: { status: 423, blame: 'client', retry: false },
  unsupported_media_type: { status: 415, blame: 'client', retry: false },
  too_many_requests: { status: 429, blame: 'client', retry: true },
  unsafe_argument: { status: 400, blame: 'client', retry: false },

  // Where a tenant's file or request was to go.
  destination_forbidden: { status: 502, blame: 'destination', retry: false },
  upload_rejected: { status: 502, blame: 'destination', retry: false },
  upload_unreachable: { status: 504, blame: 'destination', retry: true },

  // Our neighbours.
  datastore_missing: { status: 503, blame: 'store', retry: true },
  datastore_unreachable: { status: 503, blame: 'store', retry: true },
  datastore_fault: { status: 503, blame: 'store', retry: true },
  switch_down: { status: 503, blame: 'switch', retry: true },
  switch_timeout: { status: 504, blame: 'switch', retry: true },
  switch_refused: { status: 502, blame: 'switch', retry: false },
  leg_gone: { status: 404, blame: 'switch', retry: false },
  leg_taken: { status: 409, blame: 'switch', retry: false },
  spool_unwritable: { status: 503, blame: 'callrec', retry: true },

  bad_configuration: { status: 500, blame: 'callrec', retry: false },
  unspecified_fault: { status: 500, blame: 'callrec', retry: false },
} satisfies Record<string, Row>

export type ErrorCode = keyof typeof ERRORS

/** Thrown where the failure happens; `message` names the subject, `data` goes into the API's error body. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly data: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, data: Record<string, unknown> = {}, options: ErrorOptions = {}) {
    super(message, options)
    this.code = code
    this.data = data
  }

  get status(): number {
    return ERRORS[this.code].status
  }

  get retry(): boolean {
    return ERRORS[this.code].retry
  }
}

export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(ERRORS, text)

export const isCode = (error: unknown, code: ErrorCode): error is AppError => error instanceof AppError && error.code === code

/** For a log line or a document: what went wrong in words, whatever was thrown. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Node's own name for a failure (`ENOENT`, `ECONNRESET`, …), where it has one. */
export const systemCode = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined
