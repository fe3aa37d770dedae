/**
 * Copies of an image: a snapshot, which stays as it is, and a clone, which is an image of its own.
 *
 * Where the file system can share blocks (btrfs, XFS, bcachefs) a copy takes no time and no space (ioctl FICLONE); elsewhere only
 * what is not a hole is copied. The tier is copied too, to a file in the copy's folder: the two must not share one. The source
 * must not be in use: its lock is held meanwhile.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { seekFile } from '../ublk-native/index.js'
import { ImageError } from './errors.js'
import { NODE_FILES } from './files.js'
import type { StateLayout } from './layout.js'
import { dropLock, takeLock } from './lock.js'
import { CheckpointMap } from './map.js'
import { ImageStore, ioError, openImageFile, writeSuperblock } from './store.js'
import type { Superblock } from './superblock.js'
import { newTierEntry, openTier, slotAt, tierPath, writeTierHead } from './tier.js'

const COPY_BYTES = 4 * 1024 * 1024
/** In the copy's folder. */
const TIER_NAME = 'tier'

export interface ImageCopy {
  readonly source: string
  readonly target: string
  /** Whether the two share their blocks. */
  readonly isShared: boolean
}

/**
 * Copies an image to a directory that is not there, or empty.
 *
 * @param isSnapshot - the copy cannot be used itself, only copied
 * @throws ImageError `IMAGE_ERR_MISSING`, `IMAGE_ERR_DAMAGED`, `IMAGE_ERR_TIER`, `IMAGE_ERR_IN_USE`, `IMAGE_ERR_EXISTS`,
 *   `IMAGE_ERR_IO`
 */
export function copyImage(source: string, target: string, isSnapshot: boolean): ImageCopy {
  new ImageStore(NODE_FILES, source).close()
  takeLock(source)
  try {
    const store = new ImageStore(NODE_FILES, source)
    store.journal.refuseDamage()
    const { superblock, layout } = store
    store.close()
    openTier(NODE_FILES, source, superblock, layout)?.close()
    makeTarget(target)
    try {
      const shared = ['map', 'journal', 'data'].map(name =>
        copyFile(join(source, name), join(target, name)),
      )
      const copy = { ...superblock, isSnapshot }
      if (superblock.tier != null) {
        shared.push(copyTier(source, target, superblock, layout))
        copy.tier = newTierEntry({ ...superblock.tier, path: TIER_NAME })
        adoptTier(target, copy, layout)
      }
      NODE_FILES.syncDirectory(target)
      writeSuperblock(NODE_FILES, target, copy)
      return { source, target, isShared: shared.every(is => is) }
    } catch (error) {
      for (const name of readdirSync(target)) rmSync(join(target, name))
      throw error instanceof ImageError ? error : ioError(target, error)
    }
  } finally {
    dropLock(source)
  }
}

function makeTarget(target: string): void {
  try {
    mkdirSync(target, { recursive: true, mode: 0o700 })
    if (readdirSync(target).length === 0) return
  } catch (error) {
    throw ioError(target, error)
  }
  throw new ImageError('IMAGE_ERR_EXISTS', `${target} is not empty: choose another directory`)
}

/** Copies a file, durably; whether the copy shares the blocks. */
function copyFile(from: string, to: string): boolean {
  let isShared = true
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE)
  } catch {
    // A file system that cannot, or two file systems.
    isShared = false
    copySparsely(from, to)
  }
  const file = NODE_FILES.open(to, false)
  file.sync()
  file.close()
  return isShared
}

function copyTier(
  source: string,
  target: string,
  { tier }: Superblock,
  layout: StateLayout,
): boolean {
  const [from, to] = [tierPath(source, tier!), join(target, TIER_NAME)]
  if (statSync(from).isFile()) return copyFile(from, to)
  copyDevice(from, to, slotAt(layout, tier!.slotCount + 1))
  return false
}

/** The copy of the tier is that of the copy of the image, and of no other. */
function adoptTier(directory: string, superblock: Superblock, layout: StateLayout): void {
  writeTierHead(NODE_FILES, directory, superblock, layout, false)
  const map = new CheckpointMap(openImageFile(NODE_FILES, directory, 'map'), layout)
  map.rename(superblock)
  map.close()
}

/** The first so many bytes of a block device, to a file without what is zeros. Durable when it returns. */
function copyDevice(from: string, to: string, bytes: number): void {
  const source = openSync(from, 'r')
  const target = NODE_FILES.open(to, true)
  try {
    target.truncate(bytes)
    const buffer = Buffer.allocUnsafe(COPY_BYTES)
    const zeros = Buffer.alloc(COPY_BYTES)
    for (let at = 0, length = 0; at < bytes; at += length) {
      length = readSync(source, buffer, 0, Math.min(COPY_BYTES, bytes - at), at)
      const part = buffer.subarray(0, length)
      if (!part.equals(zeros.subarray(0, length))) target.write(at, part)
    }
    target.sync()
  } finally {
    closeSync(source)
    target.close()
  }
}

function copySparsely(from: string, to: string): void {
  const source = openSync(from, 'r')
  const target = openSync(to, 'w', 0o600)
  try {
    const { size } = fstatSync(source)
    ftruncateSync(target, size)
    const buffer = Buffer.allocUnsafe(COPY_BYTES)
    for (let at = seekFile(source, 0, false); at >= 0; at = seekFile(source, at, false)) {
      const end = seekFile(source, at, true)
      while (at < end) {
        const length = readSync(source, buffer, 0, Math.min(COPY_BYTES, end - at), at)
        for (let done = 0; done < length; )
          done += writeSync(target, buffer, done, length - done, at + done)
        at += length
      }
    }
  } finally {
    closeSync(source)
    closeSync(target)
  }
}
