/**
 * Values that are numbers, as `increment` has them: decimal integers below 2^53 as text.
 */
import { StoreError } from './errors.js'

export function notNumber(why: string): StoreError {
  return new StoreError('STORE_ERR_NUMBER', why)
}

/** @throws StoreError NUMBER when the value is none */
export function numberIn(value: Buffer): number {
  const text = value.toString('latin1')
  const number = Number(text)
  if (/^-?\d{1,16}$/.test(text) && Number.isSafeInteger(number)) return number
  throw notNumber(
    `the value is no decimal integer below 2^53: ${JSON.stringify(text.slice(0, 40))}`,
  )
}
