/**
 * The file or block device that a device's tier is: what may be one, and who holds it.
 *
 * What is on it would be overwritten, so one that has anything on it, or that somebody uses, is refused. A file that we made is
 * ours to remove. A block device is opened with O_EXCL for as long as it is served, so that nobody mounts it meanwhile.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  rmSync,
  type Stats,
  statSync,
  truncateSync,
} from 'node:fs'
import { basename } from 'node:path'
import { eraseTierHead, imageOfTier } from '../image/index.js'
import { DaemonError } from './errors.js'
import { formatBytes } from './options.js'
import { listStateDirectories, readRecord } from './state-directory.js'

/** So much at the start and at the end of a block device is looked at: file systems, partitions and RAIDs sign there. */
const LOOK_BYTES = 1024 * 1024

function refuse(path: string, why: string, cause?: unknown): never {
  throw new DaemonError('DAEMON_ERR_TIER', `--tier ${path}: ${why}`, { cause })
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error)
}

/** Where sysfs has a block device, by the numbers that stat(2) packs into st_rdev (glibc gnu_dev_major). */
function sysfsOf({ rdev }: Stats): string {
  const high = Math.floor(rdev / 2 ** 32)
  const low = rdev % 2 ** 32
  const major = ((low >>> 8) & 0xfff) | (high & 0xfffff000)
  const minor = (low & 0xff) | ((low >>> 12) & 0xfff00)
  return `/sys/dev/block/${major}:${minor}`
}

function attribute(stats: Stats, name: string): string | null {
  try {
    return readFileSync(`${sysfsOf(stats)}/${name}`, 'utf8').trim()
  } catch {
    return null
  }
}

/** Bytes of a file, or of a block device. */
function sizeOf(fd: number): number {
  const stats = fstatSync(fd)
  return stats.isBlockDevice() ? Number(attribute(stats, 'size')) * 512 : stats.size
}

function isBlank(fd: number): boolean {
  const size = sizeOf(fd)
  const bytes = Buffer.alloc(Math.min(LOOK_BYTES, size))
  return [0, size - bytes.length].every(position => {
    const got = readSync(fd, bytes, 0, bytes.length, position)
    return bytes.subarray(0, got).every(byte => byte === 0)
  })
}

/** The device that has this tier, served or waiting for recovery, or null. */
function ownerOf(stats: Stats): number | null {
  const isSame = (path: string): boolean => {
    try {
      const other = statSync(path)
      if (stats.isBlockDevice()) return other.isBlockDevice() && other.rdev === stats.rdev
      return other.dev === stats.dev && other.ino === stats.ino
    } catch {
      return false
    }
  }
  const found = listStateDirectories().find(id => {
    const tier = readRecord(id)?.options.tier
    return typeof tier === 'string' && isSame(tier)
  })
  return found ?? null
}

function open(path: string, flags: number): number {
  try {
    return openSync(path, flags | constants.O_RDWR, 0o600)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EBUSY')
      refuse(path, 'it is in use (mounted, swap, part of a RAID): choose another', error)
    return refuse(path, `it cannot be opened for writing (${code}): choose another`, error)
  }
}

export class TierFile {
  readonly path: string
  /** Whether there was no such file before. */
  readonly isMade: boolean
  #fd: number
  #slotCount = 0

  private constructor(path: string, isMade: boolean, fd: number) {
    this.path = path
    this.isMade = isMade
    this.#fd = fd
  }

  /**
   * Take it for a new device; a file that does not exist is made. Throws DaemonError DAEMON_ERR_TIER: it cannot be opened,
   * is of no use, is in use, or has something on it (`force`: that is overwritten).
   */
  static claim(path: string, force: boolean): TierFile {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined)
      return new TierFile(path, true, open(path, constants.O_CREAT | constants.O_EXCL))
    if (!found.isFile() && !found.isBlockDevice())
      refuse(path, 'it is neither a file nor a block device')
    if (basename(realpathSync(path)).startsWith('ublkb'))
      refuse(path, 'a ublk device cannot be a tier: the daemon could wait for itself')
    if ((attribute(found, 'queue/zoned') ?? 'none') !== 'none')
      refuse(path, 'a zoned drive cannot be a tier: it is written at random')
    const owner = ownerOf(found)
    if (owner !== null) refuse(path, `it is the tier of device ${owner}: one tier has one device`)
    const fd = open(path, found.isBlockDevice() ? constants.O_EXCL : 0)
    if (!force && (found.isFile() ? found.size > 0 : !isBlank(fd))) {
      closeSync(fd)
      const image = imageOfTier(path)
      const what = image === null ? 'there is something on it' : `it is the tier of image ${image}`
      refuse(path, `${what}: empty it, choose another, or overwrite it with --force-tier`)
    }
    if (found.isFile()) ftruncateSync(fd, 0)
    // An image that it was the tier of must not find it again.
    else if (force) eraseTierHead(path)
    return new TierFile(path, false, fd)
  }

  /** Hold it again, for a device that a dead daemon left. Throws as `claim` when it is gone or somebody else has it. */
  static reclaim(path: string, isMade: boolean): TierFile {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined) refuse(path, 'it is gone, and the data of its device with it')
    return new TierFile(path, isMade, open(path, found.isBlockDevice() ? constants.O_EXCL : 0))
  }

  /** Hold that of an image, which has found it and knows how it is divided. Throws as `claim` when somebody else has it. */
  static hold(path: string, slotCount: number): TierFile {
    const file = TierFile.reclaim(path, false)
    file.#slotCount = slotCount
    return file
  }

  /**
   * Divide what is behind a head into slots, at most `slotsMax`: a file is made as long (it is sparse), a block device is as long
   * as it is. Throws DaemonError when there is not room for one.
   */
  divide(slotBytes: number, slotsMax: number, headBytes = 0): void {
    if (fstatSync(this.#fd).isFile()) ftruncateSync(this.#fd, headBytes + slotBytes * slotsMax)
    const size = sizeOf(this.#fd)
    this.#slotCount = Math.min(slotsMax, Math.floor((size - headBytes) / slotBytes))
    if (this.#slotCount > 0) return
    const needed = formatBytes(headBytes + slotBytes)
    refuse(this.path, `it has ${formatBytes(size)}, and for one zone it needs ${needed}`)
  }

  get slotCount(): number {
    return this.#slotCount
  }

  /** Let go of it; what is on it stays. */
  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }
}

/** The device is deleted: a file that was made for it goes, another is empty again. What is gone already is no error. */
export function discardTier(path: string, isMade: boolean): void {
  try {
    if (isMade) rmSync(path)
    else if (statSync(path).isFile()) truncateSync(path, 0)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}
