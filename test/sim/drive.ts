/**
 * A drive over an image, in one thread, doing what the workers of a daemon do: batches a queue, several writes in flight, their
 * bytes stored later than their write pointers move, acknowledged at the end of the batch. With a tier there is the daemon's own
 * tierer, whose steps begin anywhere, in the middle of a commit too, and go on when a flush has succeeded. Beside it, the model
 * of what a power cut may leave.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { Image, type ImageFiles } from '../../image/index.js'
import { mapShared, type NativeMedia, unmapShared } from '../../ublk-native/index.js'
import * as zones from '../../zone-model/index.js'
import type { Prng } from '../fakes/prng.js'
import { type Found, InPlace, NEVER, SECTOR, SequentialZone, type Write } from './model.js'
import { DEPTH, mediaOf, QUEUES, type Shape, STEP_MS } from './shape.js'
import { SimTier } from './tier.js'

const PAGE_SECTORS = 8

interface InFlight {
  readonly zone: number
  readonly write: Write
  isStored: boolean
}

/** A restored drive: the working state in `stateDirectory`, made anew. */
export class SimDrive {
  readonly geometry: zones.Geometry
  readonly table: zones.ZoneTable
  readonly media: NativeMedia
  readonly image: Image
  readonly loss: zones.PowerLoss
  readonly #buffer: ArrayBuffer
  /** Of each slot: queue * DEPTH + tag. */
  readonly #inFlight: (InFlight | null)[] = Array.from({ length: QUEUES * DEPTH }, () => null)
  /** What is to be told when a queue's batch ends. */
  readonly #acknowledge: ((time: number) => void)[][] = Array.from({ length: QUEUES }, () => [])
  sequential: SequentialZone[] = []
  readonly inPlace: InPlace
  time = 0
  /** When the last flush that succeeded began. */
  flushedAt = -1
  readonly tier: SimTier | null = null

  constructor(
    readonly shape: Shape,
    imageDirectory: string,
    stateDirectory: string,
    private readonly rng: Prng,
    files?: ImageFiles,
  ) {
    rmSync(stateDirectory, { recursive: true, force: true })
    mkdirSync(stateDirectory)
    const { journalBytesMax } = shape
    const options = files === undefined ? { journalBytesMax } : { journalBytesMax, files }
    this.image = Image.open(imageDirectory, { ...options, isLocked: true })
    const { tableBytes, geometry, queueCount, depth } = this.image.description
    this.loss = this.image.restore(stateDirectory)
    this.geometry = zones.Geometry.create(geometry)
    this.#buffer = mapShared(`${stateDirectory}/table`, tableBytes, false)
    const words = new Int32Array(this.#buffer, 0, tableBytes >> 2)
    this.table = new zones.ZoneTable(words, this.geometry, queueCount, depth)
    this.media = mediaOf(shape, imageDirectory, stateDirectory)
    this.image.attach(stateDirectory, this.media)
    const { zoneCount, conventionalCount, zoneSizeSectors, zoneCapacitySectors } = this.geometry
    for (let zone = conventionalCount; zone < zoneCount; zone++)
      this.sequential.push(new SequentialZone(zoneCapacitySectors))
    this.inPlace = new InPlace(conventionalCount * zoneSizeSectors)
    // Those that only look at what a power cut has left move nothing.
    if (files === undefined || shape.tier === null) return
    const { table, media } = this
    const nowMs = (): number => this.time * STEP_MS
    this.tier = new SimTier({ ...shape.tier, media, table, geometry: this.geometry, nowMs })
  }

  close(): void {
    this.image.close({ clean: false })
    this.media.close()
    unmapShared(this.#buffer)
  }

  #zone(index: number): SequentialZone {
    return this.sequential[index - this.geometry.conventionalCount]!
  }

  #offset(zone: number, sector = 0): number {
    return zone * this.geometry.zoneSizeBytes + sector * SECTOR
  }

  /** Something that a worker may do next. */
  step(): string {
    const queue = this.rng.below(QUEUES)
    const choice = this.rng.below(this.tier === null ? 100 : 115)
    if (choice < 30) return this.#admit(queue)
    if (choice < 55) return this.#store(queue)
    if (choice < 63) return this.turn(queue)
    if (choice < 78) return this.#writeInPlace(queue)
    if (choice < 84) return this.#discard(queue)
    if (choice < 90) return this.#reset()
    if (choice < 93) return this.finish(queue)
    if (choice < 96) return this.#openOrClose()
    if (choice < 100) return this.#fail(queue)
    return choice < 110 ? this.tier!.step() : this.#repeat()
  }

  #pickZone(): number {
    const { conventionalCount } = this.geometry
    return conventionalCount + this.rng.below(Math.min(6, this.sequential.length))
  }

  #blocks(sectorsMax: number): number {
    const { blockSectors } = this.geometry
    const most = Math.max(1, Math.floor(sectorsMax / blockSectors))
    const wanted = this.rng.below(3) === 0 ? PAGE_SECTORS * 3 : PAGE_SECTORS
    return (1 + this.rng.below(Math.min(most, Math.max(1, wanted / blockSectors)))) * blockSectors
  }

  /** Reserves a write or an append: the write pointer moves. */
  #admit(queue: number): string {
    const tag = this.#inFlight.slice(queue * DEPTH, (queue + 1) * DEPTH).indexOf(null)
    const zone = this.#pickZone()
    if (tag < 0 || this.#zone(zone).isResetPending) return 'nothing'
    const slot = queue * DEPTH + tag
    const wp = zones.wpOf(this.table.load(zone))
    const count = this.#blocks(this.geometry.zoneCapacitySectors - wp)
    const isAppend = this.rng.below(2) === 0
    const admitted = isAppend
      ? zones.admitAppend(this.table, slot, zone, count)
      : zones.admitWrite(this.table, slot, zones.UBLK_IO_OP_WRITE, zone, wp, count)
    if (admitted < 0) return `refused ${-admitted}`
    const offset = isAppend ? admitted : wp
    const write = { offset, count, bytes: this.#contents(count), ackedAt: NEVER, hasFailed: false }
    this.#zone(zone).epoch.writes.push(write)
    this.#inFlight[slot] = { zone, write, isStored: false }
    return `admit slot ${slot} zone ${zone} ${offset}+${count}`
  }

  #store(queue: number): string {
    const slots = this.#slotsOf(queue).filter(slot => this.#inFlight[slot]?.isStored === false)
    if (slots.length === 0) return 'nothing'
    return this.#storeSlot(this.rng.pick(slots))
  }

  #slotsOf(queue: number): number[] {
    return Array.from({ length: DEPTH }, (_, tag) => queue * DEPTH + tag)
  }

  #storeSlot(slot: number): string {
    const request = this.#inFlight[slot]!
    const { zone, write } = request
    const stored = this.media.write(this.#offset(zone, write.offset), write.bytes)
    if (stored < 0) throw new Error(`the media failed with ${stored}`)
    request.isStored = true
    return `store slot ${slot} zone ${zone} ${write.offset}+${write.count}`
  }

  /** The batch ends: what is left of it is stored, all of it acknowledged, and the next begins. */
  turn(queue: number): string {
    for (const slot of this.#slotsOf(queue)) {
      const request = this.#inFlight[slot]!
      if (request === null) continue
      if (!request.isStored) this.#storeSlot(slot)
      request.write.ackedAt = this.time
      this.#inFlight[slot] = null
    }
    for (const tell of this.#acknowledge[queue]!.splice(0)) tell(this.time)
    this.table.beginBatch(queue)
    return `turn ${queue}`
  }

  /** A copy that failed half-way, taken back. */
  #fail(queue: number): string {
    const slot = this.#slotsOf(queue).find(slot => this.#inFlight[slot]?.isStored === false)
    if (slot === undefined) return 'nothing'
    const { zone, write } = this.#inFlight[slot]!
    const part = this.rng.below(write.count / this.geometry.blockSectors + 1)
    const bytes = part * this.geometry.blockSizeBytes
    if (bytes > 0)
      this.media.write(this.#offset(zone, write.offset), write.bytes.subarray(0, bytes))
    const isUndone = zones.undoWrite(this.table, slot, (zone, offset, count) =>
      this.media.discard(this.#offset(zone, offset), count * SECTOR),
    )
    const { epoch } = this.#zone(zone)
    if (isUndone) epoch.writes = epoch.writes.filter(other => other !== write)
    else write.hasFailed = true
    this.#inFlight[slot] = null
    return `fail slot ${slot} zone ${zone} undone ${isUndone}`
  }

  #writeInPlace(queue: number): string {
    const { zoneSizeSectors, blockSectors, conventionalCount } = this.geometry
    // Few pages, so that they are written again and again; in zones whose words are in different blocks of the page map.
    const zone = this.rng.pick([0, conventionalCount >> 1, conventionalCount - 1])
    const isPage = this.rng.below(2) === 0
    const unit = isPage ? PAGE_SECTORS : blockSectors
    const count = isPage ? PAGE_SECTORS : this.#blocks(PAGE_SECTORS * 2)
    const offset = this.rng.below((PAGE_SECTORS * 3) / unit) * unit
    const sector = zone * zoneSizeSectors + offset
    const isDiscard = this.rng.below(isPage ? 2 : 4) === 0
    const bytes = isDiscard ? null : this.#contents(count, isPage && this.rng.below(4) > 0)
    this.#acknowledge[queue]!.push(this.inPlace.write(sector, bytes, count))
    const result =
      bytes === null
        ? this.media.discard(sector * SECTOR, count * SECTOR)
        : this.media.write(sector * SECTOR, bytes)
    if (result < 0) throw new Error(`the media failed with ${result}`)
    return `${isDiscard ? 'discard' : 'write'} in place ${sector}+${count}`
  }

  /** Of what has been acknowledged, so that it is certain that it was there before. */
  #discard(queue: number): string {
    const zone = this.#pickZone()
    const model = this.#zone(zone)
    const acked = model.epoch.writes.filter(({ ackedAt }) => ackedAt <= this.time)
    if (acked.length === 0 || model.isResetPending) return 'nothing'
    const { offset, count } = this.rng.pick(acked)
    const { blockSectors } = this.geometry
    const skip = this.rng.below(count / blockSectors) * blockSectors
    const length = count - skip
    model.epoch.discards.push({ offset: offset + skip, count: length, at: this.time })
    // In step with the others of its queue, though nobody need wait for it.
    this.#acknowledge[queue]!.push(() => {})
    const result = this.media.discard(this.#offset(zone, offset + skip), length * SECTOR)
    if (result < 0) throw new Error(`the media failed with ${result}`)
    return `discard zone ${zone} ${offset + skip}+${length}`
  }

  /** A write that comes twice, as after a crash: its pages take another place, from the tier too. */
  #repeat(): string {
    const zone = this.#pickZone()
    const { epoch, isResetPending } = this.#zone(zone)
    const acked = epoch.writes.filter(write => write.ackedAt <= this.time && !write.hasFailed)
    if (acked.length === 0 || isResetPending || epoch.discards.length > 0) return 'nothing'
    const { offset, count, bytes } = this.rng.pick(acked)
    const result = this.media.write(this.#offset(zone, offset), bytes)
    // There are not so many other places.
    if (result < 0 && result !== -zones.ENOSPC) throw new Error(`the media failed with ${result}`)
    return `again zone ${zone} ${offset}+${count}`
  }

  #isIdle(zone: number): boolean {
    return !this.#zone(zone).isResetPending && !this.#inFlight.some(other => other?.zone === zone)
  }

  #reset(): string {
    const zone = this.#pickZone()
    const word = this.table.load(zone)
    if (!this.#isIdle(zone) || zones.conditionOf(word) === zones.BLK_ZONE_COND_EMPTY)
      return 'nothing'
    const status = zones.resetZone(this.table, zone, () =>
      this.media.recycle(this.#offset(zone), this.geometry.zoneSizeBytes),
    )
    if (status < 0) throw new Error(`reset failed with ${status}`)
    this.#zone(zone).reset(this.time)
    return `reset zone ${zone}`
  }

  finish(queue: number): string {
    const zone = this.#pickZone()
    const { epoch } = this.#zone(zone)
    if (!this.#isIdle(zone) || epoch.finishedAt !== NEVER) return 'nothing'
    if (zones.finishZone(this.table, zone) < 0) return 'nothing'
    epoch.finishedAt = this.time
    this.#acknowledge[queue]!.push(time => {
      epoch.finishAckedAt = time
    })
    return `finish zone ${zone}`
  }

  #openOrClose(): string {
    const zone = this.#pickZone()
    if (!this.#isIdle(zone)) return 'nothing'
    const isOpen = this.rng.below(2) === 0
    const status = isOpen ? zones.openZone(this.table, zone) : zones.closeZone(this.table, zone)
    return `${isOpen ? 'open' : 'close'} zone ${zone} ${status}`
  }

  /** A flush, with everything that the daemon does for one. */
  flush(isQuiet = false): number {
    for (let queue = 0; queue < QUEUES; queue++) this.turn(queue)
    this.time++
    const begin = this.time
    // In the new batches there may be something in flight already.
    for (let i = isQuiet ? 0 : this.rng.below(5); i > 0; i--) this.step()
    const tell = this.tier?.commitBegins()
    const result = this.image.commit()
    tell?.(result === 0)
    if (result !== 0) return result
    this.flushedAt = begin
    for (const zone of this.sequential) zone.flushed(begin)
    this.image.afterCommit(this.shape.spareBytes)
    return 0
  }

  #contents(count: number, isFill = false): Buffer {
    const bytes = Buffer.alloc(count * SECTOR)
    const stamp = this.rng.next()
    for (let at = 0; at < bytes.length; at += PAGE_SECTORS * SECTOR) {
      const page = bytes.subarray(at, at + PAGE_SECTORS * SECTOR)
      const sort = isFill ? 1 : this.rng.below(10)
      if (sort === 0) continue
      if (sort < 4) for (let i = 0; i < page.length; i += 4) page.writeUInt32LE(stamp, i)
      else if (sort < 7) page.write(`${stamp} in ${at} `.repeat(page.length / 12))
      else for (let i = 0; i < page.length; i += 4) page.writeUInt32LE(this.rng.next(), i)
    }
    return bytes
  }

  /** What a zone is, for the model. */
  find(zone: number): Found {
    const word = this.table.load(zone)
    const condition = zones.conditionOf(word)
    const bytes = Buffer.alloc(this.geometry.zoneSizeBytes)
    const read = this.media.read(this.#offset(zone), bytes)
    if (read < 0) throw new Error(`zone ${zone} cannot be read: ${read}`)
    return {
      wp: zones.wpOf(word),
      isFull: condition === zones.BLK_ZONE_COND_FULL,
      isEmpty: condition === zones.BLK_ZONE_COND_EMPTY,
      isClosed: condition === zones.BLK_ZONE_COND_CLOSED,
      resets: this.table.statistics(zone).resets,
      bytes,
    }
  }

  findInPlace(): Buffer {
    const bytes = Buffer.alloc(this.inPlace.sectors.length * SECTOR)
    const read = this.media.read(0, bytes)
    if (read < 0) throw new Error(`the conventional zones cannot be read: ${read}`)
    return bytes
  }
}
