/**
 * All I/O of an image's own files (superblock, map, journal, lock) and the sync of its data, in one small interface: a test can
 * log it, cut it off at any call, and make it fail.
 *
 * Every call is synchronous, does all or throws, and throws what Node's fs throws (`code`, `errno`). Nothing is durable before
 * the sync() that follows it; what a call has done before a sync may be on the disk, in any part, in units of 512 bytes.
 */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs'

/** An open file. */
export interface ImageFile {
  readonly path: string
  /** Fill `target` from `offset`; gives how many bytes there were before the end of the file. */
  read(offset: number, target: Uint8Array): number
  /** Write all of `source` at `offset`. The file grows as needed. */
  write(offset: number, source: Uint8Array): void
  truncate(bytes: number): void
  /** When it returns, what was written is durable, and the file's size with it. */
  sync(): void
  close(): void
}

export interface ImageFiles {
  /** Open a file that is there (`create` false), or make an empty one in its place. For reading and writing. */
  open(path: string, create: boolean): ImageFile
  /** Give a file another name, in place of what has that name. Durable after syncDirectory(). */
  rename(from: string, to: string): void
  syncDirectory(path: string): void
  /**
   * Called between the steps of a commit, when other threads may do anything: nothing in the product; a test does in it what
   * other threads could.
   */
  between(step: string): void
}

class NodeFile implements ImageFile {
  constructor(
    readonly path: string,
    private fd: number,
  ) {}

  read(offset: number, target: Uint8Array): number {
    let done = 0
    while (done < target.length) {
      const count = readSync(this.fd, target, done, target.length - done, offset + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  write(offset: number, source: Uint8Array): void {
    for (let done = 0; done < source.length; )
      done += writeSync(this.fd, source, done, source.length - done, offset + done)
  }

  truncate(bytes: number): void {
    ftruncateSync(this.fd, bytes)
  }

  sync(): void {
    fdatasyncSync(this.fd)
  }

  close(): void {
    if (this.fd >= 0) closeSync(this.fd)
    this.fd = -1
  }
}

/** The files of this machine. */
export const NODE_FILES: ImageFiles = {
  open: (path, create) => new NodeFile(path, openSync(path, create ? 'w+' : 'r+', 0o600)),
  rename: renameSync,
  syncDirectory: path => {
    const fd = openSync(path, 'r')
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  },
  between: () => {},
}
