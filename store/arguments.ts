/**
 * What callers hand over, checked: a program in plain JavaScript is told what it got wrong, before anything is written.
 */
import { StoreError } from './errors.js'

/** So long that the sum with any date is still a u48: about 4,000 years. */
const TTL_MS_MAX = 2 ** 47

/** A Buffer or any other view of single bytes. The usual ones are known at once: a look at `byteLength` takes 20 ns. */
export function isBytes(value: unknown): value is Uint8Array {
  if (value instanceof Uint8Array) return true
  return ArrayBuffer.isView(value) && (value as Uint8Array).length === value.byteLength
}

/** @throws StoreError VALUE: neither text nor bytes, or longer than `most` */
export function bytesOf(value: string | Uint8Array, most: number): Uint8Array {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  if (!isBytes(bytes)) {
    const why = `a value is a string, a Buffer or a Uint8Array, not ${nameOf(value)}`
    throw new StoreError('STORE_ERR_VALUE', why)
  }
  if (bytes.length > most) {
    const why = `a value can be ${most} bytes long on this device; this is ${bytes.length}`
    throw new StoreError('STORE_ERR_VALUE', why)
  }
  return bytes
}

/** Of a key that cannot be. */
export function keyError(key: unknown): StoreError {
  const isText = typeof key === 'string'
  if (!isText && !isBytes(key)) {
    const why = `a key is a string, a Buffer or a Uint8Array, not ${nameOf(key)}`
    return new StoreError('STORE_ERR_KEY', why)
  }
  const length = isText ? Buffer.byteLength(key) : key.length
  return new StoreError('STORE_ERR_KEY', `a key must be 1 to 250 bytes long; this is ${length}`)
}

/** Milliseconds, or undefined: none. @throws StoreError TTL */
export function checkTtl(ttl: number | undefined): number | undefined {
  if (ttl === undefined || ttl === Number.POSITIVE_INFINITY) return undefined
  if (typeof ttl === 'number' && ttl > 0 && ttl <= TTL_MS_MAX) return ttl
  const given = typeof ttl === 'number' ? ttl : `${nameOf(ttl)} (${String(ttl)})`
  const allowed = `it must be a number above 0 and at most ${TTL_MS_MAX} (milliseconds)`
  throw new StoreError('STORE_ERR_TTL', `ttl is ${given}: ${allowed}`)
}

/** @throws StoreError OPTION: with a count of 0 a scan would never end */
export function checkScan(cursor: string | null, count: number): void {
  if (cursor !== null && typeof cursor !== 'string') {
    const why = `the cursor is ${nameOf(cursor)}: it must be one that scan gave, or null`
    throw new StoreError('STORE_ERR_OPTION', why)
  }
  if (Number.isSafeInteger(count) && count >= 1) return
  const why = `count is ${String(count)}: it must be a whole number of at least 1`
  throw new StoreError('STORE_ERR_OPTION', why)
}

/** `a number`, `an Array`, `null`. */
function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  const name = typeof value === 'object' ? (value.constructor?.name ?? 'Object') : typeof value
  return `${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}`
}
