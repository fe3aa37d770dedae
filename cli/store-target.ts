/**
 * TARGET of `zslab store`: a directory, a zoned block device, or memory; and opening the store that is on it.
 */
import type { Store, StoreOptions } from '../store/index.js'
import type { Io } from './io.js'
import { FailedError, UsageError } from './output.js'
import { ProgressLine } from './progress.js'
import type { StoreOptionValues } from './store-options.js'

/** What a verb does with its target. */
export interface Opening {
  /** A drive may be made in a directory. */
  readonly mayMake: boolean
  /** A store that ends with the command makes sense. */
  readonly mayBeMemory?: boolean
  /** Of `open`, beside device and what the flags say. */
  readonly extra?: Partial<StoreOptions>
}

const MEMORY = /^memory:(.*)$/

async function deviceOf(io: Io, target: string, { mayBeMemory }: Opening): Promise<StoreOptions> {
  const match = MEMORY.exec(target)
  if (match === null) return { device: target }
  if (mayBeMemory !== true) {
    throw new UsageError(
      `TARGET ${target}: a store in memory ends with the command: give a directory or a device`,
    )
  }
  const { parseBytes } = await io.client()
  const bytes = parseBytes(match[1]!)
  if (!Number.isSafeInteger(bytes) || bytes < 2 ** 21) {
    throw new UsageError(`TARGET ${target}: expected memory:SIZE with a size from 2M, as memory:1G`)
  }
  return { device: { memory: bytes } }
}

/** The flags that are options of `open`. */
function settingsOf(values: StoreOptionValues, names: readonly string[]): Partial<StoreOptions> {
  const given = names.flatMap(name => (values[name] === undefined ? [] : [[name, values[name]]]))
  return Object.fromEntries(given) as Partial<StoreOptions>
}

/** Opens the store on a target. Throws what `open` throws, in the words of the command line. */
export async function openStore(
  io: Io,
  target: string,
  values: StoreOptionValues,
  opening: Opening,
): Promise<Store> {
  const { open, STORE_OPTIONS } = await io.store()
  const device = await deviceOf(io, target, opening)
  const { bytes, zoneSize } = values as { bytes?: number; zoneSize?: number }
  const deviceOptions = { bytes, ...(zoneSize === undefined ? {} : { zoneSizeBytes: zoneSize }) }
  const progress = new ProgressLine(io)
  try {
    return await open({
      ...device,
      ...settingsOf(values, [...STORE_OPTIONS.map(({ name }) => name), 'format']),
      ...(opening.mayMake ? { deviceOptions } : {}),
      ...opening.extra,
      onProgress: (done, total) => progress.share('opening', done, total, 'zones'),
    })
  } catch (error) {
    throw inOtherWords(target, error, opening)
  } finally {
    progress.clear()
  }
}

/** Messages for programs, for people who have a command line. */
export function inOtherWords(target: string, error: unknown, { mayMake }: Opening): unknown {
  const { code, message } = error as { code?: string; message: string }
  if (code === 'DEVICE_ERR_MISSING' && /^\/dev\/(?!shm\/)/.test(target)) {
    const next = '`zslab device list` shows those of zslab, `lsblk -z` all'
    return new FailedError(code, `${target}: there is no such device: ${next}`)
  }
  if (code === 'DEVICE_ERR_MISSING') {
    const make = mayMake
      ? 'add --bytes SIZE, and one is made'
      : '`zslab store set DIR KEY VALUE --bytes SIZE` makes one'
    return new FailedError(code, `${target}: there is no store here: ${make}`)
  }
  if (code === 'STORE_ERR_FOREIGN') {
    const what = message.slice(0, message.indexOf(':') >>> 0)
    const next = mayMake
      ? 'name another target, or add --format, which erases everything on it'
      : 'name another target'
    return new FailedError(code, `${target}: ${what}: ${next}`)
  }
  if (code !== undefined && inFlags(message) !== message) {
    return new FailedError(code, inFlags(message))
  }
  return error
}

/** What the API's messages call `eviction: 'evict'` is `--eviction evict` here. */
function inFlags(message: string): string {
  return message
    .replace(/\b(eviction|durability)(?: is|:) '(\w+)'/g, '--$1 $2')
    .replace(/\bzoneSizeBytes(?: is)? (\d+)/g, '--zone-size $1')
}

/** Opens, uses and closes a store, whatever happens. */
export async function withStore<T>(
  io: Io,
  target: string,
  values: StoreOptionValues,
  opening: Opening,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await openStore(io, target, values, opening)
  try {
    return await use(store).finally(() => store.close())
  } catch (error) {
    throw inOtherWords(target, error, opening)
  }
}
