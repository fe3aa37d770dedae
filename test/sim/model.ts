/**
 * What a drive may hold after a power cut. Kept beside the drive by whoever drives it; it knows nothing of images.
 *
 * Time is a number that grows with each event. A write is stored at some time, acknowledged at a later one, and durable when a
 * flush succeeds that began after that.
 */
export const SECTOR = 512
const PAGE_SECTORS = 8
const ZEROS = Buffer.alloc(SECTOR)

/** Never, as yet. */
export const NEVER = Number.POSITIVE_INFINITY

export interface Write {
  readonly offset: number
  readonly count: number
  readonly bytes: Buffer
  ackedAt: number
  /** Its copy has failed, and could not be taken back. */
  hasFailed: boolean
}

interface Discard {
  readonly offset: number
  readonly count: number
  readonly at: number
}

/** A zone from one reset to the next. */
export class Epoch {
  writes: Write[] = []
  readonly discards: Discard[] = []
  finishedAt = NEVER
  finishAckedAt = NEVER
  resetAt = NEVER

  /** @param resets - how often the zone had been reset when it began */
  constructor(readonly resets: number) {}
}

export interface Found {
  readonly wp: number
  readonly isFull: boolean
  readonly isEmpty: boolean
  readonly isClosed: boolean
  readonly resets: number
  readonly bytes: Buffer
}

/** A zone that is written in order. */
export class SequentialZone {
  /** Those that may come back, oldest first; the last is the current one. */
  epochs = [new Epoch(0)]

  constructor(readonly capacity: number) {}

  get epoch(): Epoch {
    return this.epochs.at(-1)!
  }

  /** The reset was done at `at`, and is acknowledged when a flush has succeeded that began later. */
  reset(at: number): void {
    this.epoch.resetAt = at
    this.epochs.push(new Epoch(this.epoch.resets + 1))
  }

  get isResetPending(): boolean {
    return this.epochs.length > 1
  }

  flushed(begin: number): void {
    this.epochs = this.epochs.filter(epoch => !(epoch.resetAt < begin))
  }

  /** What is wrong with a zone that was found after a power cut; null: nothing. `flushedAt`: begin of the last flush. */
  judge(found: Found, flushedAt: number): string | null {
    const epoch = this.epochs.find(({ resets }) => resets === found.resets)
    if (epoch === undefined) {
      const allowed = this.epochs.map(({ resets }) => resets).join(' or ')
      return `was reset ${found.resets} times, not ${allowed}`
    }
    const durable = epoch.writes.filter(({ ackedAt }) => ackedAt < flushedAt)
    const floor = Math.max(0, ...durable.map(({ offset, count }) => offset + count))
    if (found.wp < floor) return `write pointer ${found.wp}, but ${floor} was flushed`
    const ends = new Set([0, ...epoch.writes.map(({ offset, count }) => offset + count)])
    const isFinished = epoch.finishedAt !== NEVER
    if (isFinished) ends.add(this.capacity)
    if (!ends.has(found.wp)) return `write pointer ${found.wp} is the end of no write`
    if (epoch.finishAckedAt < flushedAt && !found.isFull)
      return 'was finished and flushed, but is not full'
    if (found.isFull !== (found.wp === this.capacity)) return `full ${found.isFull} at ${found.wp}`
    if (found.isEmpty !== (found.wp === 0)) return `empty ${found.isEmpty} at ${found.wp}`
    if (!found.isFull && !found.isEmpty && !found.isClosed) return 'neither full, empty nor closed'
    return this.judgeBytes(epoch, found, flushedAt) ?? judgeTail(epoch, found)
  }

  private judgeBytes(epoch: Epoch, found: Found, flushedAt: number): string | null {
    for (let sector = 0; sector * SECTOR < found.bytes.length; sector++) {
      const bytes = found.bytes.subarray(sector * SECTOR, (sector + 1) * SECTOR)
      const isZero = bytes.equals(ZEROS)
      const write = epoch.writes.find(
        ({ offset, count }) => sector >= offset && sector < offset + count,
      )
      if (sector >= found.wp || write === undefined) {
        if (!isZero)
          return `sector ${sector} is past the write pointer ${found.wp} or was never written, but is not zero`
        continue
      }
      const at = (sector - write.offset) * SECTOR
      const isWritten = bytes.equals(write.bytes.subarray(at, at + SECTOR))
      const discards = epoch.discards.filter(
        ({ offset, count }) => sector >= offset && sector < offset + count,
      )
      const isGone = discards.some(discard => discard.at < flushedAt && coversPage(discard, sector))
      const mayBeZero = discards.length > 0 || !(write.ackedAt < flushedAt)
      if (isWritten && !(isGone && !isZero)) continue
      if (isZero && mayBeZero) continue
      // What is packed lies at any byte of the disk's sectors: a discard that was not flushed may come back torn.
      if (discards.length > 0 && isTorn(bytes, write.bytes.subarray(at, at + SECTOR))) continue
      if (isWritten) return `sector ${sector} was discarded and flushed, but is there`
      return `sector ${sector} is ${isZero ? 'zero' : 'something else'} than what was written`
    }
    return null
  }
}

/** A write at the end of a zone was taken back if it was in flight; else its bytes had come before, all of them. */
function judgeTail(epoch: Epoch, found: Found): string | null {
  const tail = epoch.writes.find(({ offset, count }) => offset + count === found.wp)
  if (tail === undefined || found.isFull || tail.hasFailed || epoch.discards.length > 0) return null
  const { offset, count, bytes } = tail
  if (found.bytes.subarray(offset * SECTOR, (offset + count) * SECTOR).equals(bytes)) return null
  return `the write at ${offset}+${count} was in flight, but the write pointer is behind it`
}

/** Whether every byte is that of `written`, or zero. */
function isTorn(bytes: Buffer, written: Buffer): boolean {
  return bytes.every((byte, i) => byte === 0 || byte === written[i])
}

/** A part of a page may stay: docs/BOUNDARY.md. */
function coversPage({ offset, count }: Discard, sector: number): boolean {
  const first = sector - (sector % PAGE_SECTORS)
  return offset <= first && first + PAGE_SECTORS <= offset + count
}

interface Version {
  readonly bytes: Buffer
  ackedAt: number
}

/** The sectors of conventional zones, which are overwritten in place: each of them is old or new. */
export class InPlace {
  readonly sectors: Version[][]

  constructor(count: number) {
    this.sectors = Array.from({ length: count }, () => [{ bytes: ZEROS, ackedAt: -1 }])
  }

  /** Gives what has to be told when it is acknowledged. */
  write(sector: number, bytes: Buffer | null, count: number): (time: number) => void {
    const versions: Version[] = []
    for (let i = 0; i < count; i++) {
      const own = bytes === null ? ZEROS : bytes.subarray(i * SECTOR, (i + 1) * SECTOR)
      const version = { bytes: own, ackedAt: NEVER }
      this.sectors[sector + i]!.push(version)
      versions.push(version)
    }
    return time => {
      for (const version of versions) version.ackedAt = time
    }
  }

  judge(found: Buffer, flushedAt: number): string | null {
    for (const [sector, versions] of this.sectors.entries()) {
      const from = Math.max(
        0,
        versions.findLastIndex(({ ackedAt }) => ackedAt < flushedAt),
      )
      const bytes = found.subarray(sector * SECTOR, (sector + 1) * SECTOR)
      if (versions.slice(from).some(version => version.bytes.equals(bytes))) continue
      const isOld = versions.some(version => version.bytes.equals(bytes))
      return `sector ${sector} of the conventional zones is ${isOld ? 'older than the last flush' : 'nothing that was written'}`
    }
    return null
  }
}
