/**
 * The options of `zslab store`, in one table: flags, help, checks, and the table in docs/STORE.md come from it.
 *
 * Those of the store itself (durability, eviction, …) are rows made of the store's own table.
 */
import { type Command, Option } from 'commander'
import type { ClientModule, StoreModule } from './io.js'
import { UsageError } from './output.js'
import { formatThousands, formatTime, parseCount, parseTime } from './quantities.js'

export type StoreVerb =
  | 'get'
  | 'set'
  | 'del'
  | 'ttl'
  | 'scan'
  | 'stats'
  | 'check'
  | 'bench'
  | 'fill'
  | 'map'

export interface StoreOptionSpec {
  readonly flag: string
  readonly type: 'bytes' | 'count' | 'time' | 'mix' | 'choice' | 'text' | 'switch'
  readonly min?: number
  readonly max?: number
  /** Beside min to max. */
  readonly isZeroAllowed?: boolean
  readonly choices?: readonly string[]
  readonly default: string | null
  readonly doc: string
  readonly verbs: readonly StoreVerb[]
}

/** A share of the objects of `fill` and `bench` gets this TTL; Infinity: none. */
export interface TtlShare {
  readonly ttlMs: number
  readonly share: number
}

export type StoreOptionValue = number | string | boolean | readonly TtlShare[]
/** By name in camel case. What was not given and has no default is not there. */
export type StoreOptionValues = Readonly<Record<string, StoreOptionValue | undefined>>

const WRITERS: readonly StoreVerb[] = ['set', 'fill', 'bench']
const MASSES: readonly StoreVerb[] = ['fill', 'bench']
/** A hundred years. */
const TTL_MS_MAX = 36_500 * 86_400_000
const VALUE_BYTES_MAX = 64 * 1024 ** 2

const OWN_OPTIONS: readonly StoreOptionSpec[] = [
  {
    flag: 'bytes',
    type: 'bytes',
    min: 2 * 1024 ** 2,
    max: 256 * 1024 ** 4,
    default: null,
    doc: 'how large the drive is to be, when TARGET is a directory without one',
    verbs: WRITERS,
  },
  {
    flag: 'zone-size',
    type: 'bytes',
    min: 32 * 1024,
    max: 16 * 1024 ** 3,
    default: null,
    doc: 'zones of the drive that is made; without it 1 MiB to 256 MiB, 256 zones or more',
    verbs: WRITERS,
  },
  {
    flag: 'format',
    type: 'switch',
    default: null,
    doc: 'erase everything on the drive first, whoever wrote it; files of a directory that is no drive stay',
    verbs: WRITERS,
  },
  {
    flag: 'ttl',
    type: 'time',
    min: 1,
    max: TTL_MS_MAX,
    default: null,
    doc: 'how long the object lives; without it until it is deleted or evicted',
    verbs: ['set'],
  },
  {
    flag: 'objects',
    type: 'count',
    min: 1,
    max: 1e10,
    default: '1M',
    doc: 'how many',
    verbs: MASSES,
  },
  {
    flag: 'size',
    type: 'bytes',
    min: 0,
    max: VALUE_BYTES_MAX,
    default: '128',
    doc: 'bytes of each value; keys have 16',
    verbs: MASSES,
  },
  {
    flag: 'ttl-mix',
    type: 'mix',
    default: '1h:100',
    doc: 'TTLs and how many of the objects get each, as 60s:15,5m:15,1h:70; `none` for objects without',
    verbs: ['fill'],
  },
  {
    flag: 'cursor',
    type: 'text',
    default: null,
    doc: 'go on where a scan before left off',
    verbs: ['scan'],
  },
  {
    flag: 'count',
    type: 'count',
    min: 1,
    max: 1e6,
    default: '100',
    doc: 'objects at a time, a few more as a rule: pages are taken whole',
    verbs: ['scan'],
  },
  {
    flag: 'values',
    type: 'switch',
    default: null,
    doc: 'the values too, which are read one by one',
    verbs: ['scan'],
  },
]

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

function camel(flag: string): string {
  return flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

/** The store's own options, for verbs that write many objects. */
export function storeRows({ STORE_OPTIONS }: StoreModule): StoreOptionSpec[] {
  return STORE_OPTIONS.map(row => {
    const isBytes = row.name.endsWith('Bytes')
    const type = row.type === 'choice' ? 'choice' : isBytes ? 'bytes' : 'count'
    return {
      flag: kebab(row.name),
      type,
      default: String(row.default),
      doc: row.doc,
      verbs: MASSES,
      ...(row.choices === undefined ? {} : { choices: row.choices }),
      ...(row.isZeroAllowed === true ? { isZeroAllowed: true } : {}),
      ...(row.min === undefined ? {} : { min: row.min, max: row.max! }),
    }
  })
}

/** The whole table. */
export function storeOptions(store: StoreModule): StoreOptionSpec[] {
  return [...OWN_OPTIONS, ...storeRows(store)]
}

const PLACEHOLDERS = {
  bytes: 'size',
  count: 'n',
  time: 'time',
  mix: 'list',
  choice: 'name',
  text: 'cursor',
} as const

/** "a size from 2M to 1P", as in help, messages and docs. */
export function storeRange(spec: StoreOptionSpec, { formatBytes }: ClientModule): string {
  const { type, min = 0, max = 0 } = spec
  const orZero = spec.isZeroAllowed === true ? '0, or ' : ''
  if (type === 'bytes') return `${orZero}a size from ${formatBytes(min)} to ${formatBytes(max)}`
  if (type === 'count')
    return `${orZero}a whole number from ${formatThousands(min)} to ${formatThousands(max)}`
  if (type === 'time') return `a time from 1ms to ${formatTime(max)}, as 250ms, 90s, 5m, 1h, 7d`
  if (type === 'mix') return 'TTL:share,TTL:share,…, as 60s:15,5m:15,none:70'
  if (type === 'choice') return `one of ${spec.choices!.join(', ')}`
  return type === 'text' ? 'a cursor that scan printed' : 'given or not'
}

export function defaultText(
  { type, default: given }: StoreOptionSpec,
  client: ClientModule,
): string {
  if (given === null) return '-'
  return type === 'bytes' ? client.formatBytes(client.parseBytes(given)) : given
}

/** A flag for each row that a verb has. */
export function addStoreOptions(
  command: Command,
  verb: StoreVerb,
  table: readonly StoreOptionSpec[],
  client: ClientModule,
): void {
  for (const spec of table.filter(({ verbs }) => verbs.includes(verb))) {
    if (spec.type === 'switch') {
      command.addOption(new Option(`--${spec.flag}`, spec.doc))
      continue
    }
    const otherwise = spec.default === null ? '' : `; default ${defaultText(spec, client)}`
    const doc =
      spec.type === 'text' ? spec.doc : `${spec.doc} (${storeRange(spec, client)}${otherwise})`
    command.addOption(new Option(`--${spec.flag} <${PLACEHOLDERS[spec.type]}>`, doc))
  }
}

function parseMix(text: string): TtlShare[] | null {
  const shares: TtlShare[] = []
  for (const part of text.split(',')) {
    const match = /^([^:]+):(\d+(?:\.\d+)?)$/.exec(part.trim())
    if (match === null) return null
    const ttlMs = match[1] === 'none' ? Number.POSITIVE_INFINITY : parseTime(match[1]!)
    const share = Number(match[2])
    const isTtl = ttlMs === Number.POSITIVE_INFINITY || (ttlMs >= 1 && ttlMs <= TTL_MS_MAX)
    if (!isTtl || !(share > 0)) return null
    shares.push({ ttlMs, share })
  }
  return shares
}

function parseValue(
  spec: StoreOptionSpec,
  text: string,
  { parseBytes }: ClientModule,
): StoreOptionValue | null {
  if (spec.type === 'text') return text
  if (spec.type === 'mix') return parseMix(text)
  if (spec.type === 'choice') return spec.choices!.includes(text) ? text : null
  const parse = { bytes: parseBytes, count: parseCount, time: parseTime }[spec.type as 'bytes']
  const value = parse(text)
  if (value === 0 && spec.isZeroAllowed === true) return 0
  return Number.isSafeInteger(value) && value >= spec.min! && value <= spec.max! ? value : null
}

/** What was given on the command line, checked, with the defaults. Throws UsageError: option, value, what is allowed. */
export function readStoreOptions(
  verb: StoreVerb,
  given: Readonly<Record<string, unknown>>,
  table: readonly StoreOptionSpec[],
  client: ClientModule,
): StoreOptionValues {
  const values: Record<string, StoreOptionValue | undefined> = {}
  for (const spec of table.filter(({ verbs }) => verbs.includes(verb))) {
    const key = camel(spec.flag)
    const raw = given[key] ?? spec.default
    if (raw === null || raw === undefined) continue
    const value = spec.type === 'switch' ? raw === true : parseValue(spec, String(raw), client)
    if (value === null) {
      throw new UsageError(`--${spec.flag} ${String(raw)}: expected ${storeRange(spec, client)}`)
    }
    values[key] = value
  }
  return values
}
