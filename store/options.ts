/**
 * The options of `open`, in one table: what they are called, what they may be, what they mean. Checks and the README come
 * from it.
 */
import type { DeviceOptions, DeviceTarget } from '../devices/index.js'
import type { ZonedDevice } from '../zone-model/index.js'
import { CACHE_BYTES_MAX, CACHE_BYTES_MIN } from './cache-plan.js'
import { StoreError } from './errors.js'

export type Durability = 'none' | 'interval' | 'sync'
export type Eviction = 'evict' | 'noeviction' | 'reinsert'

/** Times in milliseconds. */
export interface StoreOptions {
  /** Where the objects are: a zoned block device or a directory by its path, `{ memory: bytes }`, or a device that is open. */
  readonly device: DeviceTarget | ZonedDevice
  /** What a drive in a directory or in memory is to be, when it is made. */
  readonly deviceOptions?: DeviceOptions | undefined
  readonly durability?: Durability | undefined
  readonly commitInterval?: number | undefined
  readonly eviction?: Eviction | undefined
  readonly cacheBytes?: number | undefined
  readonly lifetimeClasses?: number | undefined
  /** Longest TTL of each class but the last two, rising. Without it they are learned. */
  readonly lifetimeBoundaries?: readonly number[] | undefined
  /** Resets all zones of a device that holds other data. */
  readonly format?: boolean | undefined
  /** 16 bytes instead of random ones for the id and the hash of a new store, so that a test can be replayed. */
  readonly identity?: Uint8Array | undefined
  /** Called while a start looks at zones: how many of how many. */
  readonly onProgress?: ((zones: number, zonesTotal: number) => void) | undefined
  /** The clock, in ms since the epoch. With one of your own no timer runs: call `tick`. */
  readonly now?: (() => number) | undefined
}

interface OptionRow {
  readonly name: keyof StoreOptions
  readonly type: 'number' | 'choice'
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** 0 is allowed too. */
  readonly isZeroAllowed?: boolean
  readonly default: number | string
  readonly doc: string
}

export const STORE_OPTIONS: readonly OptionRow[] = [
  {
    name: 'durability',
    type: 'choice',
    choices: ['none', 'interval', 'sync'],
    default: 'interval',
    doc: 'when what was set survives a power cut: after `flush()`; after at most `commitInterval`; before `set` resolves',
  },
  {
    name: 'commitInterval',
    type: 'number',
    min: 1,
    max: 3_600_000,
    default: 1000,
    doc: 'milliseconds between commits; half-filled slabs are written no later',
  },
  {
    name: 'eviction',
    type: 'choice',
    choices: ['evict', 'noeviction', 'reinsert'],
    default: 'evict',
    doc: 'when the device is full: the zone of least use goes; or `set` is refused; or the zone goes, but what was read often of late moves before',
  },
  {
    name: 'cacheBytes',
    type: 'number',
    min: CACHE_BYTES_MIN,
    max: CACHE_BYTES_MAX,
    isZeroAllowed: true,
    default: 64 * 1024 * 1024,
    doc: 'memory for hot records of a drive, 0: none; not used when the drive itself is in memory',
  },
  {
    name: 'lifetimeClasses',
    type: 'number',
    min: 2,
    max: 64,
    default: 12,
    doc: 'ranges of TTLs with a zone of their own, at most; the device may have fewer active zones',
  },
]

export type StoreSettings = {
  readonly durability: Durability
  readonly commitInterval: number
  readonly eviction: Eviction
  readonly cacheBytes: number
  readonly lifetimeClasses: number
}

/** Options that are no row of the table: what each may be, and in words. */
const OTHER_OPTIONS: Readonly<
  Record<
    Exclude<keyof StoreOptions, keyof StoreSettings>,
    readonly [(value: unknown) => boolean, string]
  >
> = {
  device: [isDevice, 'a path, { memory: bytes }, or a device that is open'],
  deviceOptions: [isObject, 'an object, as { bytes: 2 ** 30 }'],
  lifetimeBoundaries: [Array.isArray, 'a list of milliseconds, rising'],
  format: [value => typeof value === 'boolean', 'true or false'],
  identity: [value => value instanceof Uint8Array && value.length === 16, '16 bytes'],
  onProgress: [value => typeof value === 'function', 'a function'],
  now: [value => typeof value === 'function', 'a function that gives milliseconds'],
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isDevice(value: unknown): boolean {
  if (typeof value === 'string') return value !== ''
  return isObject(value) && ('memory' in value || 'geometry' in value)
}

/** Of the options that are no row, and of names that are none: a typo would be a store with other rules. */
function checkOthers(options: StoreOptions): void {
  if (!isObject(options)) {
    throw new StoreError('STORE_ERR_OPTION', 'open needs options: { device: … } at least')
  }
  const rows = STORE_OPTIONS.map(({ name }) => name)
  const names: readonly string[] = [...Object.keys(OTHER_OPTIONS), ...rows]
  const unknown = Object.keys(options).find(name => !names.includes(name))
  if (unknown !== undefined) {
    const why = `${unknown} is no option of open: there are ${names.join(', ')}`
    throw new StoreError('STORE_ERR_OPTION', why)
  }
  for (const [name, [isRight, allowed]] of Object.entries(OTHER_OPTIONS)) {
    const value = options[name as keyof StoreOptions]
    if (value === undefined && name !== 'device') continue
    if (!isRight(value)) refuse(name, isObject(value) ? 'something else' : value, allowed)
  }
}

/** @throws StoreError OPTION, naming the option, its value and what is allowed */
export function checkOptions(options: StoreOptions): StoreSettings {
  checkOthers(options)
  const settings: Record<string, number | string> = {}
  for (const row of STORE_OPTIONS) {
    const value = options[row.name] ?? row.default
    if (row.type === 'choice' && !row.choices!.includes(value as string)) {
      refuse(row.name, value, `one of ${row.choices!.map(choice => `'${choice}'`).join(', ')}`)
    }
    const number = value as number
    const isInRange = Number.isSafeInteger(value) && number >= row.min! && number <= row.max!
    const isZero = row.isZeroAllowed === true && value === 0
    if (row.type === 'number' && !isInRange && !isZero) {
      const or = row.isZeroAllowed === true ? '0, or ' : ''
      refuse(row.name, value, `${or}a whole number from ${row.min} to ${row.max}`)
    }
    settings[row.name] = value as number | string
  }
  return settings as unknown as StoreSettings
}

function refuse(name: string, value: unknown, allowed: string): never {
  throw new StoreError('STORE_ERR_OPTION', `${name} is ${String(value)}: it must be ${allowed}`)
}
