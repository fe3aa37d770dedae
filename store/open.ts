/**
 * Opens a store on a zoned device: finds what is there, or begins anew, and puts the parts together.
 */
import { randomBytes } from 'node:crypto'
import { openDevice } from '../devices/index.js'
import type { ZonedDevice } from '../zone-model/index.js'
import { Access } from './access.js'
import { Burials } from './burials.js'
import { Clock } from './clock.js'
import { Committer } from './committer.js'
import { DriveReader } from './drive-reader.js'
import { StoreError } from './errors.js'
import { PAGE_BYTES } from './layout.js'
import { LifetimeClasses } from './lifetime-classes.js'
import { checkOptions, type StoreOptions, type StoreSettings } from './options.js'
import { RecordCache } from './record-cache.js'
import { Recovery } from './recovery.js'
import { Reinserter } from './reinserter.js'
import { rememberedClasses } from './remembered-classes.js'
import { Scanner } from './scanner.js'
import { makeSpace } from './space.js'
import { collectStats } from './stats.js'
import { Store } from './store.js'
import { Ticker } from './ticker.js'
import type { StoreIdentity, ZoneHeader } from './zone-header.js'
import { ZoneIo } from './zone-io.js'
import { Zones } from './zones.js'

const VALUE_BYTES_MAX = 64 * 1024 * 1024
/** A zone takes its header, a few slabs and their index at least. */
const PAGES_PER_ZONE_MIN = 8
/** Two zones at least, of what the index can name. */
const PAGES_PER_ZONE_MAX = 2 ** 24
/** The index names no more: 256 GiB. Zones beyond are left alone. */
const PAGES_MAX = 2 ** 26
/** Pages of a zone that a value never gets: its header, the index behind it, the head of the run. */
const PAGES_BESIDE_VALUE = 3

/**
 * Opens the store on a device, which it closes in the end. An empty device becomes a new store.
 *
 * @throws StoreError OPTION, DEVICE, FOREIGN (the device holds data that is not a store's; `format: true` erases it)
 * @throws DeviceError, ZoneModelError: the device cannot be opened or made
 */
export async function open(options: StoreOptions): Promise<Store> {
  const settings = checkOptions(options)
  const { device: target } = options
  const isOpen = typeof target !== 'string' && 'geometry' in target
  const device = isOpen ? target : await openDevice(target, options.deviceOptions)
  try {
    return await openOn(device, options, settings)
  } catch (error) {
    // The caller's device stays the caller's.
    if (!isOpen) await device.dispose()
    throw error
  }
}

async function openOn(
  device: ZonedDevice,
  options: StoreOptions,
  settings: StoreSettings,
): Promise<Store> {
  const clock = new Clock(options.now)
  const pagesPerZone = pagesOf(device)
  const { geometry } = device
  const isVolatile = device.direct !== undefined
  const zones = new Zones(geometry.zoneCount)
  // Space and committer are there before the first write can fail.
  const io = new ZoneIo(device, (zone, error) => {
    committer.noteFailure(error)
    const vzone = zones.virtualOf[zone]!
    if (vzone >= 0) space.keeper.drop(vzone, 'failed')
  })
  const zonesMax = Math.min(geometry.zoneCount, Math.floor(PAGES_MAX / pagesPerZone) - 1)
  const recovery = new Recovery(io, pagesPerZone, zonesMax, options.onProgress)
  const found = await recovery.inspect(options.format === true)
  const space = makeSpace({
    ...{ io, zones, pagesPerZone, zonesMax },
    identity: found ?? newIdentity(options.identity),
    classes: classesFor(device, options, settings, clock.now(), recovery.headers),
    evicts: settings.eviction !== 'noeviction',
    reinserts: settings.eviction === 'reinsert',
  })
  const { engine, keeper } = space
  clock.read(engine.cells)
  const report = await recovery.load(engine, space.context, clock.now())
  const hasCache = !isVolatile && settings.cacheBytes > 0
  const cache = hasCache ? new RecordCache({ capacityBytes: settings.cacheBytes }) : null
  const reader = new DriveReader(engine, io, key => access.load(key))
  const burials = new Burials(reader)
  const scanner = new Scanner(engine, reader, clock)
  const { heat } = engine.parts
  const reinserter = heat === null ? null : new Reinserter(engine, io, heat, clock)
  const committer = new Committer({ ...space, io, burials })
  const access: Access = new Access(engine, reader, cache, clock)
  const ticker = new Ticker(settings.commitInterval, () => {
    store.tick(clock.now())
    if (!isVolatile) commitNow(committer, settings)
    return keeper.nextDeadlineMs - clock.now()
  })
  const store: Store = new Store({
    ...{ access, engine, io, burials, scanner, committer, reinserter, settings, report, clock },
    valueBytesMax: Math.min(VALUE_BYTES_MAX, (pagesPerZone - PAGES_BESIDE_VALUE) * PAGE_BYTES),
    statsOf: () => collectStats({ engine, io, reader, keeper, cache, isVolatile }),
    stopTicking: () => ticker.stop(),
    release: async () => {
      reinserter?.stop()
      await device.dispose()
    },
  })
  if (options.now === undefined) ticker.start()
  return store
}

/** What the timer does. In memory a stage is as safe as the drive: there half-filled slabs stay open. */
function commitNow(committer: Committer, { durability }: StoreSettings): void {
  if (durability === 'none') committer.submit()
  else committer.commitSoon()
}

function pagesOf({ geometry }: ZonedDevice): number {
  if (geometry.maxActive === 1) {
    const why = 'the device lets one zone be active at a time, and a store needs two'
    throw new StoreError('STORE_ERR_DEVICE', `${why}: of a drive that is made, raise maxActive`)
  }
  const pages = geometry.zoneCapacityBytes / PAGE_BYTES
  const isRight =
    Number.isInteger(pages) &&
    geometry.blockSizeBytes <= PAGE_BYTES &&
    pages >= PAGES_PER_ZONE_MIN &&
    pages <= PAGES_PER_ZONE_MAX
  if (isRight) return pages
  const what = `zones of ${geometry.zoneCapacityBytes} bytes, blocks of ${geometry.blockSizeBytes}`
  throw new StoreError(
    'STORE_ERR_DEVICE',
    `${what}: a store needs zones of whole 4 KiB pages, 32 KiB to 64 GiB`,
  )
}

/** As many classes as the device lets be open at once, and leaves zones for. */
function classesFor(
  device: ZonedDevice,
  options: StoreOptions,
  settings: StoreSettings,
  nowMs: number,
  headers: readonly ZoneHeader[],
): LifetimeClasses {
  const { geometry } = device
  const limits = [geometry.maxActive, geometry.maxOpen].filter(limit => limit > 0)
  const most = Math.min(settings.lifetimeClasses, geometry.sequentialCount - 1, ...limits)
  const boundariesMs = options.lifetimeBoundaries
  return new LifetimeClasses({
    count: Math.max(2, most),
    zoneBytes: geometry.zoneCapacityBytes,
    nowMs,
    lendLast: true,
    remembered: rememberedClasses(headers),
    ...(boundariesMs === undefined ? {} : { boundariesMs }),
  })
}

function newIdentity(given: Uint8Array | undefined): StoreIdentity {
  const id = Buffer.from(given ?? randomBytes(16))
  return { id, seeds: [id.readUInt32LE(0), id.readUInt32LE(4)] }
}
