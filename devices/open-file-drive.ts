/**
 * Making and opening a drive in a directory. The header comes last, so that a directory is a drive or none.
 */
import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Geometry, type GeometryOptions, SECTOR_BYTES } from '../zone-model/index.js'
import { type DriveFiles, NODE_DRIVE_FILES, READ_ONLY_DRIVE_FILES } from './drive-files.js'
import { DriveHeader, damaged } from './drive-header.js'
import { DeviceError, fileError } from './errors.js'
import { FileDrive } from './file-drive.js'
import { dropProcessLock, takeProcessLock } from './process-lock.js'
import { sideBySide } from './side-by-side.js'
import { ZoneFiles } from './zone-files.js'

/** As many zone files are open at a time. */
const OPEN_FILES_MAX = 512
/** As many are looked at at a time. */
const CHECKS = 16

/** For tests. */
export interface FileDriveSeams {
  readonly files?: DriveFiles
  /** The directory is not a real one: nobody else can be in it. */
  readonly isPrivate?: boolean
  readonly openFilesMax?: number
  /** Nothing in the directory but its lock is written, not even to put away what a power cut left. Writes fail. */
  readonly readOnly?: boolean
}

/**
 * Makes an empty drive. The directory is made too; one that is there must be empty.
 *
 * @throws DeviceError OPTION (the directory is not empty), PERMISSION, IO; ZoneModelError `ZONE_ERR_GEOMETRY`
 */
export async function makeFileDrive(
  directory: string,
  options: GeometryOptions,
  { files = NODE_DRIVE_FILES }: FileDriveSeams = {},
): Promise<void> {
  const geometry = Geometry.create(options)
  try {
    await files.makeDirectory(directory)
    const [found] = await files.list(directory)
    if (found !== undefined) {
      const why = `it holds ${found}: give an empty directory, or one that is not there`
      throw new DeviceError('DEVICE_ERR_OPTION', `${directory}: no new drive here, ${why}`)
    }
    const file = await files.open(`${directory}/header.new`, true)
    try {
      await file.write(0, DriveHeader.initial(geometry))
      await file.sync()
    } finally {
      await file.close()
    }
    await files.rename(`${directory}/header.new`, `${directory}/header`)
    await files.syncDirectory(directory)
  } catch (error) {
    throw fileError(directory, error)
  }
}

/** Whether a directory holds a drive. @throws DeviceError PERMISSION, IO: nobody can tell */
export async function holdsFileDrive(directory: string): Promise<boolean> {
  const path = `${directory}/header`
  const found: Stats | null = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw fileError(path, error)
  })
  return found?.isFile() ?? false
}

/**
 * Opens a drive.
 *
 * @throws DeviceError MISSING, BUSY (another process, or this one, has it open), DAMAGED with file and byte, VERSION,
 *   PERMISSION, IO
 */
export async function openFileDrive(
  directory: string,
  seams: FileDriveSeams = {},
): Promise<FileDrive> {
  const { isPrivate = false, readOnly = false } = seams
  const files = seams.files ?? (readOnly ? READ_ONLY_DRIVE_FILES : NODE_DRIVE_FILES)
  if (!isPrivate && !(await holdsFileDrive(directory))) {
    const why = `there is no drive (no file header): say how large it is to be, and one is made`
    throw new DeviceError('DEVICE_ERR_MISSING', `${directory}: ${why}`)
  }
  const unlock = isPrivate ? () => {} : lock(directory)
  try {
    return await openLocked(directory, { ...seams, files, readOnly }, unlock)
  } catch (error) {
    unlock()
    throw fileError(directory, error)
  }
}

function lock(directory: string): () => void {
  const path = `${directory}/lock`
  let holder: string | null
  try {
    holder = takeProcessLock(path)
  } catch (error) {
    throw fileError(path, error)
  }
  if (holder === null) return () => dropProcessLock(path)
  const why = `in use by ${holder}: one process at a time opens a drive`
  throw new DeviceError('DEVICE_ERR_BUSY', `${directory}: ${why}`)
}

async function openLocked(
  directory: string,
  seams: FileDriveSeams & { files: DriveFiles; readOnly: boolean },
  unlock: () => void,
): Promise<FileDrive> {
  const { files, readOnly, openFilesMax = OPEN_FILES_MAX } = seams
  const path = `${directory}/header`
  const file = await files.open(path, false)
  try {
    const header = await DriveHeader.open(file, path)
    const zoneFiles = await ZoneFiles.find(files, directory, openFilesMax)
    await checkFiles(header, zoneFiles, readOnly)
    return new FileDrive({ directory, header, files: zoneFiles, unlock, readOnly })
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Every zone's file has what the header says, and no more: what a power cut left behind the write pointer goes. */
async function checkFiles(
  { geometry, found }: DriveHeader,
  files: ZoneFiles,
  readOnly: boolean,
): Promise<void> {
  const zones = Array.from({ length: geometry.zoneCount }, (_, zone) => zone)
  await sideBySide(zones, CHECKS, async zone => {
    const wanted = found.filled[zone]! * SECTOR_BYTES
    if (!files.has(zone)) {
      if (wanted > 0) damaged(files.pathOf(zone), 0, `the file is gone, and had ${wanted} bytes`)
      return
    }
    await files.use(zone, async file => {
      const bytes = await file.size()
      if (bytes < wanted)
        damaged(files.pathOf(zone), bytes, `the file is cut: the header says ${wanted} bytes`)
      const isLeft = bytes > wanted && zone >= geometry.conventionalCount
      if (isLeft && !readOnly) await file.truncate(wanted)
    })
  })
}
