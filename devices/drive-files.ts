/**
 * All I/O of a drive in files, in one small interface: a test can log it, cut it off anywhere, and make it fail.
 *
 * Every call does all or rejects, and rejects with what Node's fs rejects with (`code`, `errno`). Nothing is durable before
 * the sync that follows it; what a call has done before a sync may be on the disk, in any part, in units of 512 bytes.
 */
import {
  close,
  fdatasync,
  fstatSync,
  fsync,
  ftruncate,
  mkdir,
  open,
  readdir,
  rename,
} from 'node:fs'
import { promisify } from 'node:util'
import { readAt, writeAt } from './transfer.js'

/** An open file. */
export interface DriveFile {
  /** Fills `target` from `offset`; gives how many bytes there were before the end of the file. */
  read(offset: number, target: Uint8Array): Promise<number>
  /** Writes all of `source` at `offset`. The file grows as needed. */
  write(offset: number, source: Uint8Array): Promise<void>
  truncate(bytes: number): Promise<void>
  size(): Promise<number>
  /** When it resolves, what was written before the call is durable, and the file's size with it. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface DriveFiles {
  /** Opens a file for reading and writing; `create` makes it if it is not there. */
  open(path: string, create: boolean): Promise<DriveFile>
  /** Gives a file another name, in place of what has that name. Durable after syncDirectory(). */
  rename(from: string, to: string): Promise<void>
  makeDirectory(path: string): Promise<void>
  /** Names in a directory. */
  list(path: string): Promise<string[]>
  /** When it resolves, the names in a directory are durable. */
  syncDirectory(path: string): Promise<void>
}

const fs = {
  close: promisify(close),
  fdatasync: promisify(fdatasync),
  fsync: promisify(fsync),
  ftruncate: promisify(ftruncate),
  mkdir: promisify(mkdir),
  open: promisify(open),
  readdir: promisify(readdir),
  rename: promisify(rename),
}

class NodeFile implements DriveFile {
  constructor(private readonly fd: number) {}

  read(offset: number, target: Uint8Array): Promise<number> {
    return readAt(this.fd, target, offset)
  }

  async write(offset: number, source: Uint8Array): Promise<void> {
    await writeAt(this.fd, source, offset)
  }

  truncate(bytes: number): Promise<void> {
    return fs.ftruncate(this.fd, bytes)
  }

  /** At once: of an open file the kernel knows it, and a start asks for every zone's. */
  async size(): Promise<number> {
    return fstatSync(this.fd).size
  }

  sync(): Promise<void> {
    return fs.fdatasync(this.fd)
  }

  close(): Promise<void> {
    return fs.close(this.fd)
  }
}

/** The files of this machine. */
export const NODE_DRIVE_FILES: DriveFiles = {
  async open(path, create) {
    try {
      return new NodeFile(await fs.open(path, 'r+'))
    } catch (error) {
      if (!create || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return new NodeFile(await fs.open(path, 'wx+', 0o600))
    }
  },
  rename: fs.rename,
  async makeDirectory(path) {
    await fs.mkdir(path, { recursive: true, mode: 0o700 })
  },
  list: path => fs.readdir(path),
  async syncDirectory(path) {
    const fd = await fs.open(path, 'r')
    try {
      await fs.fsync(fd)
    } finally {
      await fs.close(fd)
    }
  },
}

/** The same, of a directory in which nothing may change: files that are there, for reading. */
export const READ_ONLY_DRIVE_FILES: DriveFiles = {
  ...NODE_DRIVE_FILES,
  open: async path => new NodeFile(await fs.open(path, 'r')),
}
