/**
 * `zslab store get|set|del|ttl|scan`: single objects of a store.
 *
 * Keys and values are bytes. On stdout `get` gives a value as it is; in JSON what is no UTF-8 is base64 under another name
 * (`valueBase64`), so that nothing is lost.
 */
import type { ScannedObject, Store } from '../store/index.js'
import type { CommonOptions } from './arguments.js'
import type { Io } from './io.js'
import { FailedError, printResult, UsageError } from './output.js'
import { formatTime } from './quantities.js'
import type { StoreOptionValues } from './store-options.js'
import { withStore } from './store-target.js'
import { formatCount, formatTable, left, plural, right } from './table.js'

/** What every verb of a store gets. */
export interface StoreRun {
  readonly io: Io
  readonly target: string
  /** Checked. */
  readonly values: StoreOptionValues
  readonly common: CommonOptions
}

const KEY_BYTES_MAX = 250
/** Of a key that is all escapes. */
const KEY_TEXT_MAX = 10 * KEY_BYTES_MAX
const READING = { mayMake: false }

function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key)
  if (bytes >= 1 && bytes <= KEY_BYTES_MAX) return
  throw new UsageError(`KEY of ${bytes} bytes: expected 1 to ${KEY_BYTES_MAX} bytes`)
}

function missing(key: string): FailedError {
  return new FailedError('CLI_ERR_NO_KEY', `${keyText(key)}: no such key`)
}

/** A key in a sentence: whole, but nothing that moves a terminal's cursor. */
function keyText(key: string): string {
  return asText(Buffer.from(key), KEY_TEXT_MAX)
}

/** `{ [name]: text }`, or `{ [name + 'Base64']: … }` when the bytes are no UTF-8. */
function asJson(name: string, bytes: Uint8Array): Record<string, string> {
  const buffer = Buffer.from(bytes)
  const text = buffer.toString('utf8')
  if (Buffer.from(text).equals(buffer)) return { [name]: text }
  return { [`${name}Base64`]: buffer.toString('base64') }
}

/** Milliseconds left, null without an end. */
function ttlJson(ttl: number): number | null {
  return Number.isFinite(ttl) ? Math.round(ttl) : null
}

/** For a line of a terminal: what cannot be printed is escaped. */
export function asText(bytes: Uint8Array, most: number): string {
  const text = Buffer.from(bytes.subarray(0, most * 4)).toString('utf8')
  const escaped = text.replace(/[\p{C}\ufffd\\]/gu, one =>
    one === '\\' ? '\\\\' : `\\u{${one.codePointAt(0)!.toString(16)}}`,
  )
  return escaped.length > most ? `${escaped.slice(0, most - 1)}…` : escaped
}

export async function get({ io, target, values, common }: StoreRun, key: string): Promise<void> {
  checkKey(key)
  const entry = await withStore(io, target, values, READING, store => store.getEntry(key))
  if (entry === undefined) throw missing(key)
  const { value, ttl, version } = entry
  if (common.json !== true) {
    io.outBytes(value)
    // For who sits before it the prompt comes on a line of its own.
    if (io.outIsTerminal && value.at(-1) !== 10) io.out('\n')
    return
  }
  const rest = { bytes: value.length, ttlMs: ttlJson(ttl), version }
  printResult(io, true, { key, ...asJson('value', value), ...rest }, () => '')
}

export async function set(
  { io, target, values, common }: StoreRun,
  key: string,
  value: string,
): Promise<void> {
  checkKey(key)
  const ttl = values['ttl'] as number | undefined
  const bytes = value === '-' ? await io.input() : Buffer.from(value)
  const making = { mayMake: true }
  await withStore(io, target, values, making, store => store.set(key, bytes, { ttl }))
  const result = { key, bytes: bytes.length, ttlMs: ttl ?? null }
  const life = ttl === undefined ? 'no time to live' : `gone in ${formatTime(ttl)}`
  printResult(
    io,
    common.json === true,
    result,
    () => `${keyText(key)}: ${plural(bytes.length, 'byte')}, ${life}\n`,
  )
}

export async function del(
  { io, target, values, common }: StoreRun,
  keys: readonly string[],
): Promise<void> {
  for (const key of keys) checkKey(key)
  const deleted = await withStore(io, target, values, READING, store => store.deleteMany(keys))
  const result = { asked: keys.length, deleted }
  const text = () =>
    deleted === keys.length
      ? `${deleted} deleted\n`
      : `${deleted} of ${keys.length} deleted, the rest was not there\n`
  printResult(io, common.json === true, result, text)
}

export async function ttl({ io, target, values, common }: StoreRun, key: string): Promise<void> {
  checkKey(key)
  const left = await withStore(io, target, values, READING, store => store.ttl(key))
  if (left === undefined) throw missing(key)
  const text = () => (Number.isFinite(left) ? `${formatTime(left)}\n` : 'no time to live\n')
  printResult(io, common.json === true, { key, ttlMs: ttlJson(left) }, text)
}

interface Listed extends ScannedObject {
  readonly value: Buffer | undefined
}

/** With values: what has gone between the two reads is left out. */
async function list(store: Store, values: StoreOptionValues) {
  const page = await store.scan((values['cursor'] as string) ?? null, values['count'] as number)
  if (values['values'] !== true) {
    return { cursor: page.cursor, objects: page.objects.map(one => ({ ...one, value: undefined })) }
  }
  const found = await store.getMany(page.objects.map(({ key }) => key))
  const objects = page.objects.map((one, at) => ({ ...one, value: found[at] }))
  return { cursor: page.cursor, objects: objects.filter(({ value }) => value !== undefined) }
}

const KEY_COLUMNS = 60
const VALUE_COLUMNS = 40

function formatObjects(
  objects: readonly Listed[],
  hasValues: boolean,
  cursor: string | null,
): string {
  const rows = objects.map(({ key, valueBytes, ttl: ttlLeft, value }) => [
    asText(key, KEY_COLUMNS),
    formatCount(valueBytes),
    Number.isFinite(ttlLeft) ? formatTime(ttlLeft) : '-',
    ...(hasValues ? [asText(value!, VALUE_COLUMNS)] : []),
  ])
  const columns = [left('KEY'), right('BYTES'), right('TTL'), ...(hasValues ? [left('VALUE')] : [])]
  const table = objects.length === 0 ? '' : formatTable(columns, rows)
  const rest = cursor === null ? '' : `; more with --cursor ${cursor}`
  return `${table}${plural(objects.length, 'object')}${rest}\n`
}

export async function scan({ io, target, values, common }: StoreRun): Promise<void> {
  const { cursor, objects } = await withStore(io, target, values, READING, store =>
    list(store, values),
  )
  const result = {
    objects: objects.map(({ key, valueBytes, ttl: ttlLeft, value }) => ({
      ...asJson('key', key),
      bytes: valueBytes,
      ttlMs: ttlJson(ttlLeft),
      ...(value === undefined ? {} : asJson('value', value)),
    })),
    cursor,
  }
  const text = () => formatObjects(objects, values['values'] === true, cursor)
  printResult(io, common.json === true, result, text)
}
