/**
 * Options of a device that lives in an image: what the drive is, the image says; how it is served, the caller.
 */
import { DaemonError } from './errors.js'
import {
  DEVICE_OPTIONS,
  type DeviceOptions,
  formatBytes,
  interpretOption,
  type OptionSpec,
  resolveOptions,
} from './options.js'

/** What an image was made with, and cannot be changed afterwards. */
const OF_THE_DRIVE: readonly (keyof DeviceOptions)[] = [
  'zones',
  'zoneSize',
  'zoneCapacity',
  'conventional',
  'maxOpen',
  'maxActive',
  'maxAppend',
  'blockSize',
  'profile',
  'sameFill',
  'compression',
  'tier',
]

/** What an image says of the drive in it: the options that made it, none of them left open, and how many queues and tags its zone table has room for. */
export interface DriveDescription {
  readonly options: DeviceOptions
  readonly queueCount: number
  readonly depth: number
}

function show(spec: OptionSpec, value: unknown): string {
  if (value === null) return `no ${spec.flag}`
  return spec.type === 'bytes' ? formatBytes(Number(value)) : String(value)
}

/**
 * Options as given, for a drive that is there already → the whole. Throws DaemonError DAEMON_ERR_OPTION when one that is given
 * says otherwise than the image.
 */
export function resolveImageOptions(
  given: Readonly<Record<string, unknown>>,
  { options: made, queueCount, depth }: DriveDescription,
): DeviceOptions {
  const room: Partial<Record<keyof DeviceOptions, number>> = { queues: queueCount, depth }
  for (const spec of DEVICE_OPTIONS) {
    const value = given[spec.key]
    if (value === undefined || value === null) continue
    const wanted = interpretOption(spec, value)
    const isOther = OF_THE_DRIVE.includes(spec.key) && wanted !== made[spec.key]
    const isMore = Number(wanted) > (room[spec.key] ?? Number.POSITIVE_INFINITY)
    if (!isOther && !isMore) continue
    const limit = isMore ? `for at most ${room[spec.key]}` : `with ${show(spec, made[spec.key])}`
    const message = `--${spec.flag} ${String(value)}: the drive in ${String(given['image'])} was made ${limit}: leave the option out, or make another drive in another folder`
    throw new DaemonError('DAEMON_ERR_OPTION', message)
  }
  const drive = Object.fromEntries(OF_THE_DRIVE.map(key => [key, made[key]]))
  const served = Object.fromEntries(
    Object.entries(given).filter(([key]) => !(OF_THE_DRIVE as readonly string[]).includes(key)),
  )
  const options = resolveOptions({ queues: queueCount, depth, ...served })
  return { ...options, ...drive }
}
