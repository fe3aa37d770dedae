/**
 * The file of a trace: NDJSON, written by `zslab trace record` and read by `zslab trace replay` (docs/TRACE.md has the schema).
 *
 *   line 1 the header │ line 2 the zones when it began │ a line a request, in the order of t │ last line the end
 *
 * Guarantees: what is written is read back the same; a line that is not as the schema says is refused with its number, the key
 * and what was expected. A file without its last line is a recording that was cut off, and is no error.
 */
import { open } from 'node:fs/promises'
import type { DeviceInfo, TraceEntry, ZoneCondition, ZoneRun } from '../daemon/client.js'
import { CONDITION_MARKS } from './table.js'

export const TRACE_VERSION = 1

/** A trace that cannot be used. The message names the file, the line, and what was expected. */
export class TraceError extends Error {
  override readonly name = 'TraceError'
  readonly code = 'CLI_ERR_TRACE'
}

/** Of the device that was recorded, as far as a replay needs it. Sizes in bytes. */
export interface TraceDevice {
  zones: number
  conventional: number
  zoneSize: number
  zoneCapacity: number
  blockSize: number
  maxOpen: number
  maxActive: number
}

export interface TraceHeader {
  zslabTrace: number
  /** Everything that `device show` says; only what TraceDevice has is required of a file. */
  device: TraceDevice & Partial<DeviceInfo>
  kernel: string
  /** ISO 8601. */
  started: string
  /** Requests came while the recording began: the zones of line 2 may have some of them in them. */
  busy?: true
}

/** A request. `t` and `latencyUs` in microseconds; sectors are of 512 bytes, absolute. */
export interface TraceRequest {
  t: number
  queue: number
  op: string
  /** Not of flush and reset-all. */
  zone?: number
  /** Of what moves, drops or clears bytes. */
  sector?: number
  sectors?: number
  /** Of a report: how many. */
  zones?: number
  flags?: 'fua'
  /** Bytes, 0, or a negative errno. */
  result: number
  /** Where an append went. */
  lba?: number
  latencyUs: number
}

export interface TraceFooter {
  end: { requests: number; lost: number; seconds: number }
  /** Zones after the last request; absent when the device went on. */
  zones?: ZoneRun[]
}

/** Keys that a request of each operation has beside those that all have. */
const EXTENT = ['zone', 'sector', 'sectors']
const KEYS: Readonly<Record<string, readonly string[]>> = {
  read: EXTENT,
  write: EXTENT,
  append: EXTENT,
  discard: EXTENT,
  'write-zeroes': EXTENT,
  report: ['zone', 'zones'],
  open: ['zone'],
  close: ['zone'],
  finish: ['zone'],
  reset: ['zone'],
  'reset-all': [],
  flush: [],
}

function isKnown(op: string): boolean {
  return Object.hasOwn(KEYS, op) || /^op-\d+$/.test(op)
}

/** An entry of a ring as a line of the file. */
export function toRequest(entry: TraceEntry, queue: number, zoneSectors: number): TraceRequest {
  const { op, startSector, sectors, result } = entry
  const keys = KEYS[op] ?? []
  const t = Math.max(0, Math.floor(entry.t))
  return {
    t,
    queue,
    op,
    ...(keys.includes('zone') ? { zone: Math.floor(startSector / zoneSectors) } : {}),
    ...(keys.includes('sector') ? { sector: startSector, sectors } : {}),
    ...(keys.includes('zones') ? { zones: sectors } : {}),
    ...(entry.isFua ? { flags: 'fua' } : {}),
    result,
    ...(op === 'append' && result >= 0 ? { lba: entry.lba } : {}),
    latencyUs: entry.latencyUs,
  }
}

/** What a line turned out to be. */
export type TraceLine =
  | { readonly kind: 'header'; readonly header: TraceHeader }
  | { readonly kind: 'zones'; readonly zones: ZoneRun[] }
  | { readonly kind: 'request'; readonly request: TraceRequest }
  | { readonly kind: 'end'; readonly footer: TraceFooter }

type Fields = Readonly<Record<string, unknown>>

const ERRNO_MAX = 4095
const SAFE = Number.MAX_SAFE_INTEGER

/** Reads one line after the other: it remembers where in the file it is. */
export class TraceParser {
  readonly #path: string
  #line = 0
  #header: TraceHeader | null = null
  #hasZones = false
  #lastT = 0
  #requests = 0
  #isOver = false

  constructor(path: string) {
    this.#path = path
  }

  /** Throws TraceError. */
  parse(text: string): TraceLine {
    this.#line++
    const fields = this.#object(text)
    if (this.#header === null) return { kind: 'header', header: this.#parseHeader(fields) }
    if (!this.#hasZones) {
      this.#only(fields, ['zones'])
      this.#hasZones = true
      return { kind: 'zones', zones: this.#runs(fields['zones'], this.#header) }
    }
    if (this.#isOver) this.#refuse('a line after the end', 'nothing')
    if ('end' in fields) return { kind: 'end', footer: this.#footer(fields, this.#header) }
    this.#requests++
    return { kind: 'request', request: this.#request(fields, this.#header) }
  }

  /** After the last line. Throws TraceError when not even the zones were there. */
  finish(): void {
    this.#line++
    if (this.#header === null) this.#refuse('the file is empty', 'a header {"zslabTrace":1,…}')
    if (!this.#hasZones) this.#refuse('the file ends here', 'the zones {"zones":[…]}')
  }

  #refuse(what: string, expected: string): never {
    throw new TraceError(`${this.#path}:${this.#line}: ${what}: expected ${expected}`)
  }

  #object(text: string): Fields {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      this.#refuse(`${JSON.stringify(text.slice(0, 40))} is not JSON`, 'one object a line')
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
    return this.#refuse(`${text.slice(0, 40)} is not an object`, 'one object a line')
  }

  #integer(fields: Fields, key: string, min: number, max: number): number {
    const value = fields[key]
    if (Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max)
      return Number(value)
    const shown = value === undefined ? 'is missing' : JSON.stringify(value)
    return this.#refuse(`${key} ${shown}`, `a whole number from ${min} to ${max}`)
  }

  #text(fields: Fields, key: string): string {
    const value = fields[key]
    if (typeof value === 'string') return value
    return this.#refuse(`${key} ${JSON.stringify(value) ?? 'is missing'}`, 'a string')
  }

  #only(fields: Fields, keys: readonly string[]): void {
    for (const key of Object.keys(fields))
      if (!keys.includes(key)) this.#refuse(`${key} is unknown`, `only ${keys.join(', ')}`)
  }

  #parseHeader(fields: Fields): TraceHeader {
    if (fields['zslabTrace'] !== TRACE_VERSION) {
      const shown = JSON.stringify(fields['zslabTrace']) ?? 'is missing'
      this.#refuse(`zslabTrace ${shown}`, `${TRACE_VERSION}: another version, or no trace at all`)
    }
    this.#only(fields, ['zslabTrace', 'device', 'kernel', 'started', 'busy'])
    const device = fields['device']
    if (typeof device !== 'object' || device === null)
      this.#refuse(`device ${JSON.stringify(device) ?? 'is missing'}`, 'an object')
    const of = device as Fields
    this.#integer(of, 'zones', 1, 2 ** 31 - 1)
    this.#integer(of, 'conventional', 0, 2 ** 31 - 1)
    for (const key of ['zoneSize', 'zoneCapacity']) this.#integer(of, key, 512, SAFE)
    this.#integer(of, 'blockSize', 512, 65536)
    for (const key of ['maxOpen', 'maxActive']) this.#integer(of, key, 0, 2 ** 32 - 1)
    this.#text(fields, 'kernel')
    this.#text(fields, 'started')
    this.#header = fields as unknown as TraceHeader
    return this.#header
  }

  #runs(value: unknown, { device }: TraceHeader): ZoneRun[] {
    if (!Array.isArray(value)) this.#refuse('zones', 'an array of {"count","condition","wp"}')
    const runs = value as unknown[]
    let zones = 0
    for (const run of runs) {
      if (typeof run !== 'object' || run === null)
        this.#refuse(`zones has ${JSON.stringify(run)}`, '{"count","condition","wp"}')
      const fields = run as Fields
      this.#only(fields, ['count', 'condition', 'wp'])
      zones += this.#integer(fields, 'count', 1, device.zones)
      const condition = this.#text(fields, 'condition') as ZoneCondition
      if (!Object.hasOwn(CONDITION_MARKS, condition))
        this.#refuse(`condition ${condition}`, `one of ${Object.keys(CONDITION_MARKS).join(', ')}`)
      if (fields['wp'] !== undefined) this.#integer(fields, 'wp', 0, device.zoneSize / 512)
    }
    if (zones !== device.zones) this.#refuse(`zones has ${zones}`, `${device.zones}, as the device`)
    return runs as ZoneRun[]
  }

  #request(fields: Fields, { device }: TraceHeader): TraceRequest {
    const op = this.#text(fields, 'op')
    if (!isKnown(op)) this.#refuse(`op ${op}`, `one of ${Object.keys(KEYS).join(', ')}`)
    const keys = KEYS[op] ?? []
    const result = this.#integer(fields, 'result', -ERRNO_MAX, 2 ** 31 - 1)
    const isPlaced = op === 'append' && result >= 0
    this.#only(fields, [
      ...['t', 'queue', 'op', ...keys, 'flags', 'result', 'latencyUs'],
      ...(isPlaced ? ['lba'] : []),
    ])
    this.#lastT = this.#integer(fields, 't', this.#lastT, SAFE)
    this.#integer(fields, 'queue', 0, 4095)
    this.#integer(fields, 'latencyUs', 0, SAFE)
    const sectors = (device.zones * device.zoneSize) / 512
    if (keys.includes('zone')) this.#integer(fields, 'zone', 0, device.zones - 1)
    if (keys.includes('zones')) this.#integer(fields, 'zones', 0, 2 ** 32 - 1)
    if (keys.includes('sector')) {
      const sector = this.#integer(fields, 'sector', 0, sectors - 1)
      this.#integer(fields, 'sectors', 0, sectors - sector)
    }
    if (isPlaced) this.#integer(fields, 'lba', 0, sectors - 1)
    if (fields['flags'] !== undefined && fields['flags'] !== 'fua')
      this.#refuse(`flags ${JSON.stringify(fields['flags'])}`, '"fua", or no flags')
    return fields as unknown as TraceRequest
  }

  #footer(fields: Fields, header: TraceHeader): TraceFooter {
    this.#only(fields, ['end', 'zones'])
    const end = fields['end']
    if (typeof end !== 'object' || end === null)
      this.#refuse(`end ${JSON.stringify(end)}`, '{"requests","lost","seconds"}')
    const counts = end as Fields
    this.#only(counts, ['requests', 'lost', 'seconds'])
    this.#integer(counts, 'requests', this.#requests, this.#requests)
    this.#integer(counts, 'lost', 0, SAFE)
    if (typeof counts['seconds'] !== 'number') this.#refuse('seconds', 'a number')
    if (fields['zones'] !== undefined) this.#runs(fields['zones'], header)
    this.#isOver = true
    return fields as unknown as TraceFooter
  }
}

/** The lines of a file, numbered from 1. Throws TraceError, also when the file cannot be read. */
export async function* readTrace(path: string): AsyncGenerator<TraceLine & { line: number }> {
  const parser = new TraceParser(path)
  let line = 0
  try {
    const file = await open(path)
    for await (const text of file.readLines()) yield { ...parser.parse(text), line: ++line }
  } catch (error) {
    if (error instanceof TraceError) throw error
    throw new TraceError(`${path}: ${(error as Error).message}`, { cause: error })
  }
  parser.finish()
}
