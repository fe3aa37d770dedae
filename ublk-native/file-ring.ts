/**
 * Reads of one file by io_uring: those that are asked for in one turn of the event loop go to the kernel in one system call,
 * and come back in batches. libuv's pool does four at a time, each with two switches of threads.
 *
 * Guarantees: any number may be asked for, `depth` at most are under way and the rest wait in order; the memory of a read is
 * held until it has ended; a ring with nothing under way keeps no process alive.
 */
import { addon, type NativeFileRing } from './addon.js'
import { UblkError } from './errors.js'

interface Read {
  readonly target: Uint8Array
  readonly offset: number
  readonly resolve: (bytes: number) => void
  readonly reject: (error: unknown) => void
}

export class FileRing {
  readonly #native: NativeFileRing
  /** Pairs: which read, and bytes or -errno. */
  readonly #completions: Int32Array
  /** By id; null for an id that is free. */
  readonly #running: (Read | null)[]
  readonly #free: number[]
  /** Those that found no id, from `#next` on. */
  #waiting: Read[] = []
  #next = 0
  #isScheduled = false

  private constructor(fd: number, depth: number) {
    this.#completions = new Int32Array(depth * 2)
    this.#running = new Array<Read | null>(depth).fill(null)
    this.#free = Array.from({ length: depth }, (_, index) => depth - 1 - index)
    const opened = addon().openFileRing(fd, depth, this.#completions, count => this.#deliver(count))
    if ('result' in opened) throw new UblkError(opened.syscall, opened.result)
    this.#native = opened
  }

  /**
   * Opens a ring for a descriptor, which must stay open longer. `depth` is 1 to 4096.
   *
   * @throws UblkError ENOSYS, EPERM (the system allows no io_uring), ENOMEM, EMFILE
   */
  static open(fd: number, depth: number): FileRing {
    return new FileRing(fd, depth)
  }

  /** Resolves to how many bytes there were, which may be fewer. Rejects with UblkError. */
  read(target: Uint8Array, offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const read = { target, offset, resolve, reject }
      const id = this.#free.pop()
      if (id === undefined) this.#waiting.push(read)
      else this.#start(id, read)
    })
  }

  /** Waits for what is under way; whoever waits for that waits for ever. */
  close(): void {
    this.#native.close()
  }

  #start(id: number, read: Read): void {
    const result = this.#native.prepare(id, read.target, read.offset)
    if (result < 0) {
      this.#free.push(id)
      read.reject(new UblkError('io_uring', result))
      return
    }
    this.#running[id] = read
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => this.#submit())
  }

  #submit(): void {
    this.#isScheduled = false
    if (this.#native.submit() >= 0) return
    // The kernel is short of something (EAGAIN, EBUSY, ENOMEM): what was prepared stays, and is tried again.
    this.#isScheduled = true
    setImmediate(() => this.#submit())
  }

  #deliver(count: number): void {
    for (let index = 0; index < count; index++) {
      const id = this.#completions[index * 2]!
      const result = this.#completions[index * 2 + 1]!
      const read = this.#running[id]!
      this.#running[id] = null
      if (this.#next < this.#waiting.length) this.#start(id, this.#takeWaiting())
      else this.#free.push(id)
      if (result >= 0) read.resolve(result)
      else read.reject(new UblkError('read', result))
    }
  }

  #takeWaiting(): Read {
    const read = this.#waiting[this.#next++]!
    if (this.#next === this.#waiting.length) {
      this.#waiting = []
      this.#next = 0
    }
    return read
  }
}
