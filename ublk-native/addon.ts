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
  read(offsetBytes: number, target: Uint8Array): number
  write(offsetBytes: number, source: Uint8Array): number
  discard(offsetBytes: number, lengthBytes: number): number
  flush(): number
  stats(): { rawPages: number; fillPages: number; memoryBytes: number }
  close(): void
}

export interface NativeQueue {
  readonly descriptors: Uint32Array
  readonly tags: Uint16Array
  readonly commands: Int32Array
  readonly stage: Uint8Array
  readonly kickFd: number
  commitAndFetch(countAndParity: number): number
  supply(tag: number, bytes: number): number
  failure(): { tag: number; result: number } | null
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
    bytes: number,
    sameFill: boolean,
    create: boolean,
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
  ): NativeQueue | NativeOutcome
  mapShared(path: string, bytes: number, create: boolean): ArrayBuffer | NativeOutcome
  unmapShared(buffer: ArrayBuffer): number
  createMemfd(name: string): number
  kick(fd: number, forever: boolean): number
  setIoFlusher(): number
  gettid(): number
  scanVariants(): string[]
  fillScan(buffer: Uint8Array, variant: string): boolean
  fillBuffer(buffer: Uint8Array, low: number, high: number, variant: string): void
  benchNs(kind: string, bytes: number, iterations: number, strideBytes: number): number
  zoneIoctl(path: string, op: string, startSector: number, sectors: number): Promise<NativeOutcome>
  reportZones(path: string, startSector: number, count: number): Promise<NativeOutcome>
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
