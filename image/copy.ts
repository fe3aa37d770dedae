/**
 * Copies of an image: a snapshot, which stays as it is, and a clone, which is an image of its own.
 *
 * Where the file system can share blocks (btrfs, XFS, bcachefs) a copy takes no time and no space (ioctl FICLONE); elsewhere only
 * what is not a hole is copied. The source must not be in use: its lock is held meanwhile.
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
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { seekFile } from '../ublk-native/index.js'
import { ImageError } from './errors.js'
import { NODE_FILES } from './files.js'
import { dropLock, takeLock } from './lock.js'
import { ImageStore, ioError, writeSuperblock } from './store.js'

const COPY_BYTES = 4 * 1024 * 1024

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
 * @throws ImageError `IMAGE_ERR_MISSING`, `IMAGE_ERR_DAMAGED`, `IMAGE_ERR_IN_USE`, `IMAGE_ERR_EXISTS`, `IMAGE_ERR_IO`
 */
export function copyImage(source: string, target: string, isSnapshot: boolean): ImageCopy {
  new ImageStore(NODE_FILES, source).close()
  takeLock(source)
  try {
    const store = new ImageStore(NODE_FILES, source)
    store.journal.refuseDamage()
    const { superblock } = store
    store.close()
    makeTarget(target)
    try {
      const shared = ['map', 'journal', 'data'].map(name =>
        copyFile(join(source, name), join(target, name)),
      )
      NODE_FILES.syncDirectory(target)
      writeSuperblock(NODE_FILES, target, { ...superblock, isSnapshot })
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
