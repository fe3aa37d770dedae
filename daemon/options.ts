/**
 * The option table of a device: the one place that says what `zslab device create` takes.
 *
 * The parser, `--help`, the README's table and the error messages are all made from it, so they cannot disagree.
 */
import { DaemonError } from './errors.js'
import { LATENCY_NAMES } from './latency-profiles.js'

/** A path is absolute: the daemon has another working folder than who asks it (the command line makes it absolute). */
export type OptionType = 'integer' | 'bytes' | 'boolean' | 'choice' | 'path'

/** One option. `min` and `max` are inclusive and in the option's own unit (bytes for `bytes`). */
export interface OptionSpec {
  readonly key: keyof DeviceOptions
  /** Without the dashes. A boolean also has the form `--no-<flag>`. */
  readonly flag: string
  readonly type: OptionType
  /** null: chosen when the device is made (the text says how). */
  readonly default: number | boolean | string | null
  readonly min?: number
  readonly max?: number
  readonly choices?: readonly string[]
  /** What to say of the choices, when they are too many to list. */
  readonly choicesDoc?: string
  readonly doc: string
}

/** What a device is made from. Sizes in bytes. */
export interface DeviceOptions {
  id: number
  zones: number
  zoneSize: number
  zoneCapacity: number | null
  conventional: number
  maxOpen: number
  maxActive: number
  maxAppend: number | null
  blockSize: number
  queues: number
  depth: number
  profile: string
  recovery: boolean
  sameFill: boolean
  compression: string
  memoryLimit: number
  latency: string
  /** A folder, or null: in memory. */
  image: string | null
  tier: string | null
  tierAfter: number
  tierBudget: number
  forceTier: boolean
  unsafeKernel: boolean
}

const MIB = 1024 * 1024
const GIB = 1024 * MIB
const TIB = 1024 * GIB

const ZSTD_LEVELS = Array.from({ length: 22 }, (_, i) => i + 1)

/** Geometries of known drives. A profile replaces defaults; an option that is given wins over it. */
export const PROFILES: Readonly<Record<string, { doc: string; options: Partial<DeviceOptions> }>> =
  {
    default: { doc: '64 zones of 64 MiB, small enough for any machine', options: {} },
    zn540: {
      doc: 'Western Digital Ultrastar DC ZN540 1 TB: 904 zones of 2 GiB, capacity 1077 MiB, 14 open and active',
      options: {
        zones: 904,
        zoneSize: 2 * GIB,
        zoneCapacity: 1077 * MIB,
        maxOpen: 14,
        maxActive: 14,
      },
    },
    smr: {
      doc: 'a host-managed SMR disk in small: 256 zones of 256 MiB, 1 % conventional, 128 open, any number active',
      options: { zones: 256, zoneSize: 256 * MIB, conventional: 3, maxOpen: 128, maxActive: 0 },
    },
  }

/** The table. Order is the order of `--help` and of the README. */
export const DEVICE_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'id',
    flag: 'id',
    type: 'integer',
    default: -1,
    min: -1,
    max: 1023,
    doc: 'number of the device, as in /dev/ublkb0; -1: the first free one',
  },
  {
    key: 'zones',
    flag: 'zones',
    type: 'integer',
    default: 64,
    min: 2,
    max: 16384,
    doc: 'number of zones, conventional ones included',
  },
  {
    key: 'zoneSize',
    flag: 'zone-size',
    type: 'bytes',
    default: 64 * MIB,
    min: 64 * 1024,
    max: 32 * GIB,
    doc: 'size of a zone, a power of two',
  },
  {
    key: 'zoneCapacity',
    flag: 'zone-capacity',
    type: 'bytes',
    default: null,
    min: 4096,
    max: 32 * GIB,
    doc: 'writable part of a zone; default: the zone size',
  },
  {
    key: 'conventional',
    flag: 'conventional',
    type: 'integer',
    default: 0,
    min: 0,
    max: 16383,
    doc: 'conventional zones at the start of the device',
  },
  {
    key: 'maxOpen',
    flag: 'max-open',
    type: 'integer',
    default: 14,
    min: 0,
    max: 16384,
    doc: 'most zones open at once; 0: no limit',
  },
  {
    key: 'maxActive',
    flag: 'max-active',
    type: 'integer',
    default: 14,
    min: 0,
    max: 16384,
    doc: 'most zones open or closed at once; 0: no limit',
  },
  {
    key: 'maxAppend',
    flag: 'max-append',
    type: 'bytes',
    default: null,
    min: 4096,
    max: MIB,
    doc: 'largest zone append; default: 1 MiB or the zone capacity',
  },
  {
    key: 'blockSize',
    flag: 'block-size',
    type: 'integer',
    default: 4096,
    min: 512,
    max: 4096,
    doc: 'logical block, 512 or 4096',
  },
  {
    key: 'queues',
    flag: 'queues',
    type: 'integer',
    default: 1,
    min: 1,
    max: 64,
    doc: 'ublk queues, one worker thread each; the kernel allows one a CPU',
  },
  {
    key: 'depth',
    flag: 'depth',
    type: 'integer',
    default: 128,
    min: 1,
    max: 4096,
    doc: 'requests in flight a queue',
  },
  {
    key: 'profile',
    flag: 'profile',
    type: 'choice',
    default: 'default',
    choices: Object.keys(PROFILES),
    doc: 'geometry of a known drive, for what is not given',
  },
  {
    key: 'recovery',
    flag: 'recovery',
    type: 'boolean',
    default: true,
    doc: 'the device outlives its daemon and goes on with the next one',
  },
  {
    key: 'sameFill',
    flag: 'same-fill',
    type: 'boolean',
    default: true,
    doc: 'store pages that repeat one 64-bit word as metadata',
  },
  {
    key: 'compression',
    flag: 'compression',
    type: 'choice',
    default: 'none',
    choices: ['none', 'lz4', 'zstd', ...ZSTD_LEVELS.map(level => `zstd:${level}`)],
    choicesDoc: 'none, lz4, zstd, or zstd:LEVEL with a level from 1 to 22',
    doc: 'compress pages of sequential zones; zstd alone is level 1',
  },
  {
    key: 'memoryLimit',
    flag: 'memory-limit',
    type: 'bytes',
    default: 0,
    min: 0,
    max: 16 * TIB,
    doc: 'most memory that the data may take; past it writes get ENOSPC; 0: no limit',
  },
  {
    key: 'latency',
    flag: 'latency',
    type: 'choice',
    default: 'none',
    choices: LATENCY_NAMES,
    doc: 'let requests take the time of a real drive; with one queue only',
  },
  {
    key: 'image',
    flag: 'image',
    type: 'path',
    default: null,
    doc: 'folder where the drive lives, made when it is not there; it survives restarts and power cuts; default: memory',
  },
  {
    key: 'tier',
    flag: 'tier',
    type: 'path',
    default: null,
    doc: 'file (made if there is none) or block device that takes raw and cold pages of sequential zones; an image knows its own',
  },
  {
    key: 'tierAfter',
    flag: 'tier-after',
    type: 'integer',
    default: 30,
    min: 0,
    max: 1_000_000,
    doc: 'seconds without a write after which a zone is cold',
  },
  {
    key: 'tierBudget',
    flag: 'tier-budget',
    type: 'bytes',
    default: 64 * MIB,
    min: 0,
    max: TIB,
    doc: 'most bytes a second that go to the tier; 0: no limit',
  },
  {
    key: 'forceTier',
    flag: 'force-tier',
    type: 'boolean',
    default: false,
    doc: 'overwrite what is on the tier',
  },
  {
    key: 'unsafeKernel',
    flag: 'unsafe-kernel',
    type: 'boolean',
    default: false,
    doc: 'go on even on a kernel known to crash when a ublk device is added',
  },
]

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  m: MIB,
  g: GIB,
  t: TIB,
}

/** "64M", "64MiB", "4096" → bytes; NaN when it is none of these. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text.trim())
  if (match === null) return Number.NaN
  return Number(match[1]) * (UNITS[match[2]!.toLowerCase()] ?? Number.NaN)
}

/** 67108864 → "64M". Exact: what does not divide stays in the smaller unit. */
export function formatBytes(bytes: number): string {
  for (const [suffix, unit] of [
    ['T', TIB],
    ['G', GIB],
    ['M', MIB],
    ['K', 1024],
  ] as const) {
    if (bytes !== 0 && bytes % unit === 0) return `${bytes / unit}${suffix}`
  }
  return `${bytes}`
}

function rangeOf(spec: OptionSpec): string {
  if (spec.type === 'choice') return `one of ${spec.choicesDoc ?? spec.choices!.join(', ')}`
  if (spec.type === 'boolean') return 'true or false'
  if (spec.type === 'path') return 'a path'
  const show = spec.type === 'bytes' ? formatBytes : String
  return `${spec.type === 'bytes' ? 'a size' : 'a whole number'} from ${show(spec.min!)} to ${show(spec.max!)}`
}

/** "a whole number from 2 to 16384", as in messages, help and README. */
export { rangeOf as optionRange }

function refuse(spec: OptionSpec, value: unknown): never {
  throw new DaemonError(
    'DAEMON_ERR_OPTION',
    `--${spec.flag} ${String(value)}: expected ${rangeOf(spec)}`,
  )
}

/** A value as given, of the option's type. Throws DaemonError DAEMON_ERR_OPTION. */
export function interpretOption(spec: OptionSpec, value: unknown): number | boolean | string {
  if (spec.type === 'boolean') return typeof value === 'boolean' ? value : refuse(spec, value)
  if (spec.type === 'choice') {
    return typeof value === 'string' && spec.choices!.includes(value) ? value : refuse(spec, value)
  }
  if (spec.type === 'path') {
    return typeof value === 'string' && value.startsWith('/') ? value : refuse(spec, value)
  }
  let number = Number.NaN
  if (typeof value === 'number') number = value
  else if (typeof value === 'string' && spec.type === 'bytes') number = parseBytes(value)
  else if (typeof value === 'string' && /^-?\d+$/.test(value.trim())) number = Number(value)
  if (!Number.isSafeInteger(number) || number < spec.min! || number > spec.max!) refuse(spec, value)
  return number
}

/**
 * Options as given (strings from a command line, or JSON) → a whole DeviceOptions.
 * Throws DaemonError DAEMON_ERR_OPTION that names the option, the value and the allowed range.
 * What only holds between options (a capacity above the size) is the geometry's to refuse.
 */
export function resolveOptions(given: Readonly<Record<string, unknown>>): DeviceOptions {
  const known = new Map(DEVICE_OPTIONS.map(spec => [spec.key as string, spec]))
  const values: Record<string, unknown> = {}
  for (const spec of DEVICE_OPTIONS) values[spec.key] = spec.default
  const interpreted: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue
    const spec = known.get(key)
    if (spec === undefined) {
      const flags = DEVICE_OPTIONS.map(option => option.flag).join(', ')
      throw new DaemonError('DAEMON_ERR_OPTION', `unknown option ${key}: expected one of ${flags}`)
    }
    interpreted[key] = interpretOption(spec, value)
  }
  const profile = PROFILES[(interpreted['profile'] as string | undefined) ?? 'default']!
  Object.assign(values, profile.options, interpreted)
  const options = values as unknown as DeviceOptions
  if (options.latency !== 'none' && options.queues !== 1) {
    // The queues of all dies are one thread's to keep.
    const message = `--latency ${options.latency} with --queues ${options.queues}: the times of a drive need --queues 1`
    throw new DaemonError('DAEMON_ERR_OPTION', message)
  }
  return options
}
