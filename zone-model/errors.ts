/**
 * What this folder throws. Decisions about I/O never throw: they return `-status`. Errors are for options that make no
 * drive, memory that holds another table, and the promise-returning device.
 */
import { errnoName } from './uapi.js'

/** Which operation failed: `ZONE_ERR_GEOMETRY` (options), `ZONE_ERR_TABLE` (shared memory does not fit the options). */
export type ZoneModelErrorCode = 'ZONE_ERR_GEOMETRY' | 'ZONE_ERR_TABLE'

/** A mistake in options or memory. `option` names the one to change, when there is one. */
export class ZoneModelError extends Error {
  override readonly name = 'ZoneModelError'

  constructor(
    readonly code: ZoneModelErrorCode,
    message: string,
    readonly option?: string,
  ) {
    super(message)
  }
}

/** What a {@link ZoneIoError} is made of. */
export interface ZoneIoFailure {
  /** What was attempted: `write`, `reset`, … */
  readonly operation: string
  /** Positive errno, as Linux would give it to the application. */
  readonly errno: number
  /** NVMe status code, when the device tells it; a kernel block device gives only the errno. */
  readonly status?: number
  readonly zone?: number
  readonly detail?: string
}

/** An I/O that a zoned device refused or could not do. `code` is the errno's name, as in Node's own errors. */
export class ZoneIoError extends Error {
  override readonly name = 'ZoneIoError'
  readonly code: string
  readonly errno: number
  readonly operation: string
  readonly status: number | undefined
  readonly zone: number | undefined

  constructor(failure: ZoneIoFailure) {
    const where = failure.zone === undefined ? '' : ` zone ${failure.zone}`
    const why = failure.detail === undefined ? '' : `: ${failure.detail}`
    super(`${failure.operation}${where} failed with ${errnoName(failure.errno)}${why}`)
    this.code = errnoName(failure.errno)
    this.errno = failure.errno
    this.operation = failure.operation
    this.status = failure.status
    this.zone = failure.zone
  }
}

/** Crashes on a bug of ours; never for what a user or a kernel may do. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${what}`)
}
