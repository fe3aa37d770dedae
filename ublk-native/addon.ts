/**
 * Loads the addon, on first use: importing ublk-native costs nothing where there is no addon (other systems, unit tests).
 *
 * It is build/ublk.node under the package's root, or what ZSLAB_ADDON names (the sanitizer build).
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assertLayout } from './layout.js'

/** What native control commands resolve to: the system call that the result is of, and its result or -errno. */
export interface NativeOutcome {
  syscall: string
  result: number
}

export interface NativeMediaHandle {
  readonly handle: unknown
  readonly bytes: number
  readonly slotBytes: number
  read(offsetBytes: number, target: Uint8Array): number
  write(offsetBytes: number, source: Uint8Array): number
  discard(offsetBytes: number, lengthBytes: number): number
  recycle(offsetBytes: number, lengthBytes: number): number
  demote(
    region: number,
    slot: number,
    first: number,
    end: number,
    kinds: number,
  ): { result: number; next: number; bytes: number }
  release(region: number): number
  dropSlot(region: number): number
  flush(): number
  trim(offsetBytes: number, lengthBytes: number): number
  stats(words: Float64Array): { usedBytes: number; spareBytes: number }
  close(): void
}

/** One ublk queue as its worker uses it (queue.ts, docs/BOUNDARY.md). */
export interface NativeQueue {
  /** The kernel's ublksrv_io_desc array: 6 words a tag. Mapped read-only: a store faults. */
  readonly descriptors: Uint32Array
  /** What the last turn delivered; TAG_FAILED is set for a WRITE that failed and waits for its COMMIT. */
  readonly tags: Uint16Array
  /** COMMAND_WORDS for each entry. Native writes results back to word 2. */
  readonly commands: Int32Array
  /**
   * Of the last turn with STAMP_BIT, in microseconds of CLOCK_MONOTONIC: when its commands were executed, and when it
   * delivered.
   */
  readonly clock: Float64Array
  /** Bytes that supply() sends; maxIoBytes long. */
  readonly stage: Uint8Array
  /**
   * The eventfd that ends the wait: kick(), registerKick(). The caller's, not closed by close() (a kick may cross with it):
   * unregisterKick() closes it, or closeFd().
   */
  readonly kickFd: number
  /**
   * Execute and commit the first `count` commands, wait for requests, and return how many entries of `tags` are valid.
   * Takes `count | parity << PARITY_SHIFT`: the parity says which mark a turn with an append in it sets. With STAMP_BIT the
   * turn writes `clock`.
   * 0: kicked. -ENODEV: the device has stopped and every tag has come back. -EFAULT: a command broke the contract.
   * -EIO: the kernel refused a fetch or commit (see failure()). Other: the ring's error.
   */
  commitAndFetch(countAndParity: number): number
  /**
   * The next wait of commitAndFetch ends after so many microseconds (less than 2^32) at the latest: it gives 0 then, as when
   * kicked. Once: the wait after that one is without end again. 0 takes it back.
   */
  wakeIn(microseconds: number): void
  /** Send stage[0..bytes) to the buffer of a delivered request, now. Returns the bytes taken or -errno. */
  supply(tag: number, bytes: number): number
  /** After -EIO: the tag that the kernel refused and what it said (-errno). */
  failure(): { tag: number; result: number } | null
  /** Close ring and mappings (the descriptors are detached). The char device stays open: it is the caller's. Idempotent. */
  close(): void
}

/** Reads of one file by io_uring (file-ring.ts). */
export interface NativeFileRing {
  /** 0; -EBUSY when as many as the depth are under way, -EBADF after close(). */
  prepare(id: number, bytes: Uint8Array, offset: number): number
  /** What was prepared goes to the kernel: how many, or -errno. */
  submit(): number
  /** Waits for what is under way, of which nothing more is heard. Idempotent. */
  close(): void
}

/** The addon's exports. Ints are >= 0 or -errno; a TypeError means a wrong argument type. */
export interface Addon {
  readonly LAYOUT: Readonly<Record<string, number>>
  control(
    op: number,
    id: number,
    queueId: number,
    data: number,
    buffer: Uint8Array | null,
  ): Promise<NativeOutcome>
  openMedia(
    directory: string | null,
    dataDirectory: string | null,
    sameFill: boolean,
    create: boolean,
    tier: string | null,
    bytes: number,
    regionBytes: number,
    inPlaceBytes: number,
    codec: number,
    level: number,
    spareBytes: number,
    limitBytes: number,
    tierOffset: number,
  ): NativeMediaHandle | NativeOutcome
  openQueue(
    charFd: number,
    queueId: number,
    depth: number,
    maxIoBytes: number,
    media: unknown,
    marks: Int32Array,
    markOffset0: number,
    markOffset1: number,
    userCopyBase: number,
    fakeDescriptorsFd: number,
    lends: boolean,
  ): NativeQueue | NativeOutcome
  openFileRing(
    fd: number,
    depth: number,
    completions: Int32Array,
    deliver: (count: number) => void,
  ): NativeFileRing | NativeOutcome
  mapShared(path: string, bytes: number, create: boolean): ArrayBuffer | NativeOutcome
  mapLazy(bytes: number, isHuge: boolean): ArrayBuffer | NativeOutcome
  giveBack(buffer: ArrayBuffer, offset: number, bytes: number): number
  unmapShared(buffer: ArrayBuffer): number
  createMemfd(name: string): number
  kick(fd: number, forever: boolean): number
  seekFile(fd: number, offset: number, isHole: boolean): number
  setIoFlusher(): number
  scheduleAsBatch(isBatch: boolean): number
  gettid(): number
  scanVariants(): string[]
  fillScan(buffer: Uint8Array, variant: string): boolean
  fillBuffer(buffer: Uint8Array, low: number, high: number, variant: string): void
  benchMedia(
    media: unknown,
    pages: Uint8Array,
    target: Uint8Array,
    offsetBytes: number,
    isOut: boolean,
  ): number
  benchPages(
    kind: string,
    pages: Uint8Array,
    scratch: Uint8Array,
    codec: number,
    level: number,
  ): number
  benchNs(
    kind: string,
    source: Uint8Array,
    target: Uint8Array,
    bytes: number,
    iterations: number,
    strideBytes: number,
  ): number
  zoneIoctl(path: string, op: string, start: number, length: number): Promise<NativeOutcome>
  reportZones(
    path: string,
    startSector: number,
    count: number,
    target: Uint8Array | null,
  ): Promise<NativeOutcome>
}

/** The package's root: the nearest directory upwards that has a package.json (sources and dist/ lie at different depths). */
function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory)
    if (parent === directory) throw new Error('zns-slab: package.json not found')
    directory = parent
  }
  return directory
}

/** Where the addon is, or would be. */
export function addonPath(): string {
  const override = process.env['ZSLAB_ADDON']
  return override !== undefined && override !== ''
    ? override
    : join(packageRoot(), 'build', 'ublk.node')
}

let loaded: Addon | null = null

/** The addon. Throws Error with the command to run when it is missing or does not match its TypeScript. */
export function addon(): Addon {
  if (loaded !== null) return loaded
  const path = addonPath()
  if (!existsSync(path)) throw new Error(`${path} does not exist: run npm run build (Linux only)`)
  const native = createRequire(import.meta.url)(path) as Addon
  assertLayout(native.LAYOUT)
  loaded = native
  return native
}
