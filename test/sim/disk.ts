/**
 * A disk that can lose power: what was written to the files of an image and when it was synced, and what may be left of it.
 *
 * The files are real ones in a folder in memory, the tier one of them; this logs. A write is in units of 512 bytes: of each unit that was not synced
 * any version since the last sync may be on the disk. A file that has grown may have its new length or not. Names change in
 * order, and are certain after a sync of the directory.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type ImageFile, type ImageFiles, NODE_FILES } from '../../image/index.js'
import { seekFile } from '../../ublk-native/index.js'
import type { Prng } from '../fakes/prng.js'

const SECTOR = 512
const BLOCK = 4096
const ZEROS = Buffer.alloc(BLOCK)

/** A file by its contents; a block that is not there is zeros. */
class Inode {
  readonly now = new Map<number, Buffer>()
  durable = new Map<number, Buffer>()
  /** Versions of each sector since the last sync, oldest first. */
  readonly pending = new Map<number, Buffer[]>()
  bytes = 0
  durableBytes = 0

  write(offset: number, source: Uint8Array): void {
    this.bytes = Math.max(this.bytes, offset + source.length)
    for (let at = 0; at < source.length; ) {
      const sector = Math.floor((offset + at) / SECTOR)
      const within = (offset + at) % SECTOR
      const length = Math.min(SECTOR - within, source.length - at)
      const version = Buffer.from(this.sector(sector))
      version.set(source.subarray(at, at + length), within)
      this.store(sector, version)
      at += length
    }
  }

  /** Notes what differs from the file's contents as they are now. */
  compare(block: number, contents: Buffer): boolean {
    const known = this.now.get(block) ?? ZEROS
    if (known.equals(contents)) return false
    for (let i = 0; i < BLOCK / SECTOR; i++) {
      const part = contents.subarray(i * SECTOR, (i + 1) * SECTOR)
      if (known.compare(part, 0, SECTOR, i * SECTOR, (i + 1) * SECTOR) === 0) continue
      this.store((block * BLOCK) / SECTOR + i, Buffer.from(part))
    }
    return true
  }

  sync(): void {
    this.durable = new Map([...this.now].map(([block, bytes]) => [block, Buffer.from(bytes)]))
    this.durableBytes = this.bytes
    this.pending.clear()
  }

  private sector(sector: number): Buffer {
    const block = this.now.get(Math.floor((sector * SECTOR) / BLOCK)) ?? ZEROS
    const at = (sector * SECTOR) % BLOCK
    return block.subarray(at, at + SECTOR)
  }

  private store(sector: number, version: Buffer): void {
    const versions = this.pending.get(sector) ?? []
    versions.push(version)
    this.pending.set(sector, versions)
    const index = Math.floor((sector * SECTOR) / BLOCK)
    const block = this.now.get(index) ?? Buffer.alloc(BLOCK)
    block.set(version, (sector * SECTOR) % BLOCK)
    this.now.set(index, block)
  }

  /** One of the contents that a power cut may leave. */
  afterCut(rng: Prng): { blocks: Map<number, Buffer>; bytes: number } {
    const mode = rng.below(4)
    const blocks = new Map([...this.durable].map(([block, bytes]) => [block, Buffer.from(bytes)]))
    let { durableBytes: bytes } = this
    for (const [sector, versions] of this.pending) {
      let chosen = mode === 0 ? 0 : mode === 1 ? versions.length : rng.below(versions.length + 1)
      // Mostly there, or mostly not.
      if (mode === 3 && rng.below(8) !== 0) chosen = versions.length
      if (chosen === 0) continue
      const index = Math.floor((sector * SECTOR) / BLOCK)
      const block = blocks.get(index) ?? Buffer.alloc(BLOCK)
      block.set(versions[chosen - 1]!, (sector * SECTOR) % BLOCK)
      blocks.set(index, block)
      bytes = Math.max(bytes, (sector + 1) * SECTOR)
    }
    if (rng.below(2) === 0) bytes = Math.max(bytes, this.bytes)
    return { blocks, bytes: Math.min(bytes, Math.max(this.bytes, this.durableBytes)) }
  }
}

type Names = ReadonlyMap<string, Inode>

/** Fails the call that is the `countdown`-th from now. */
export interface Fault {
  countdown: number
  readonly code: 'ENOSPC' | 'EIO'
  readonly errno: number
  /** Which call failed, and of which file. */
  hit: string | null
}

export class SimDisk implements ImageFiles {
  #inodes = new Map<string, Inode>()
  /** States of the directory since it was synced; the first one is certain. */
  #names: Names[] = [new Map()]
  fault: Fault | null = null

  /**
   * @param onEvent - after each change and each sync of the disk
   * @param onStep - between the steps of a commit
   */
  constructor(
    readonly directory: string,
    private readonly onEvent: (what: string) => void,
    private readonly onStep: (step: string) => void,
  ) {}

  open(path: string, create: boolean): ImageFile {
    const name = basename(path)
    this.#mayFail(`open ${name}`)
    const real = NODE_FILES.open(path, create)
    if (create) this.#setName(name, new Inode())
    const inode = this.#inodes.get(name)!
    return {
      path,
      read: (offset, target) => real.read(offset, target),
      write: (offset, source) => {
        this.#mayFail(`write ${name}`, () => {
          // Some of it may have been written.
          const part = Math.floor(source.length / 1024) * 512
          real.write(offset, source.subarray(0, part))
          inode.write(offset, source.subarray(0, part))
        })
        real.write(offset, source)
        inode.write(offset, source)
        this.onEvent(`write ${name} ${offset}+${source.length}`)
      },
      truncate: bytes => {
        this.#mayFail(`truncate ${name}`)
        real.truncate(bytes)
        inode.bytes = bytes
      },
      sync: () => {
        this.#mayFail(`sync ${name}`)
        this.capture()
        inode.sync()
        this.onEvent(`sync ${name}`)
      },
      close: () => real.close(),
    }
  }

  rename(from: string, to: string): void {
    this.#mayFail(`rename ${basename(to)}`)
    NODE_FILES.rename(from, to)
    const inode = this.#inodes.get(basename(from))!
    this.#inodes.delete(basename(from))
    this.#setName(basename(to), inode)
    this.onEvent(`rename ${basename(to)}`)
  }

  syncDirectory(): void {
    this.#mayFail('sync directory')
    this.#names = [new Map(this.#inodes)]
    this.onEvent('sync directory')
  }

  between(step: string): void {
    this.onStep(step)
  }

  /** Notes what the media has stored into `data` and the tier, and taken from them. */
  capture(): boolean {
    return ['data', 'tier'].map(name => this.#capture(name)).some(isChanged => isChanged)
  }

  #capture(name: string): boolean {
    const inode = this.#inodes.get(name)
    if (inode === undefined) return false
    const fd = openSync(join(this.directory, name), 'r')
    let isChanged = false
    try {
      const seen = new Set<number>()
      for (let at = seekFile(fd, 0, false); at >= 0; at = seekFile(fd, at, false)) {
        const end = seekFile(fd, at, true)
        const bytes = Buffer.alloc(end - at)
        readSync(fd, bytes, 0, bytes.length, at)
        for (let offset = 0; offset < bytes.length; offset += BLOCK) {
          const block = (at + offset) / BLOCK
          seen.add(block)
          if (inode.compare(block, bytes.subarray(offset, offset + BLOCK))) isChanged = true
        }
        at = end
      }
      for (const block of inode.now.keys())
        if (!seen.has(block) && inode.compare(block, ZEROS)) isChanged = true
    } finally {
      closeSync(fd)
    }
    return isChanged
  }

  /** Makes a folder as a power cut now may leave it. */
  cut(target: string, rng: Prng): void {
    rmSync(target, { recursive: true, force: true })
    mkdirSync(target)
    for (const [name, inode] of rng.pick(this.#names)) {
      const { blocks, bytes } = inode.afterCut(rng)
      writeFile(join(target, name), blocks, bytes)
    }
  }

  /** Everything that is there now is what a power cut left: durable. */
  adopt(names: readonly string[]): void {
    for (const name of names) {
      const inode = new Inode()
      const fd = openSync(join(this.directory, name), 'r')
      const block = Buffer.alloc(BLOCK)
      for (let at = 0; ; at += BLOCK) {
        const length = readSync(fd, block, 0, BLOCK, at)
        inode.bytes = at + length
        if (length > 0 && !block.subarray(0, length).equals(ZEROS.subarray(0, length)))
          inode.now.set(at / BLOCK, Buffer.concat([block.subarray(0, length)], BLOCK))
        if (length < BLOCK) break
      }
      closeSync(fd)
      inode.sync()
      this.#inodes.set(name, inode)
    }
    this.#names = [new Map(this.#inodes)]
  }

  #setName(name: string, inode: Inode): void {
    this.#inodes.set(name, inode)
    this.#names.push(new Map(this.#inodes))
  }

  #mayFail(what: string, before: () => void = () => {}): void {
    const { fault } = this
    if (fault === null || fault.hit !== null || --fault.countdown >= 0) return
    fault.hit = what
    before()
    throw Object.assign(new Error(`${fault.code}: ${what}`), {
      code: fault.code,
      errno: fault.errno,
      syscall: what,
    })
  }
}

function writeFile(path: string, blocks: ReadonlyMap<number, Buffer>, bytes: number): void {
  const fd = openSync(path, 'w')
  ftruncateSync(fd, bytes)
  for (const [block, contents] of blocks) {
    const length = Math.min(BLOCK, bytes - block * BLOCK)
    if (length > 0) writeSync(fd, contents, 0, length, block * BLOCK)
  }
  closeSync(fd)
}
