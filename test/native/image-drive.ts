/**
 * Drives in images for tests: 80 zones of 64 KiB, two of them conventional, in a folder of the running test.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import {
  Image,
  type ImageDescription,
  ImageError,
  NODE_FILES,
  slotBytesOf,
  TIER_HEAD_BYTES,
  type TierChoice,
} from '../../image/index.js'
import { mapShared, type NativeMedia, openMedia, unmapShared } from '../../ublk-native/index.js'
import * as zones from '../../zone-model/index.js'

export const ZONE_BYTES = 65536
export const GEOMETRY = {
  zoneCount: 80,
  zoneSizeBytes: ZONE_BYTES,
  conventionalCount: 2,
  maxActive: 20,
  blockSizeBytes: 512,
}
export const geometry = zones.Geometry.create(GEOMETRY)
export const DESCRIPTION: ImageDescription = {
  geometry: GEOMETRY,
  queueCount: 1,
  depth: 4,
  tableBytes: zones.ZoneTable.wordsNeeded(geometry, 1, 4) * 4,
  compression: 'lz4',
  device: { by: 'a test' },
}

/** Folders of the running test. */
export let root: string
export let image: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'zslab-image-'))
  image = join(root, 'image')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** A drive over an image, restored from it. */
export class Drive {
  readonly media: NativeMedia
  readonly table: zones.ZoneTable
  readonly #image: Image
  readonly #buffer: ArrayBuffer

  /** @param between - called between the steps of a commit */
  constructor(
    directory: string,
    journalBytesMax = 1 << 24,
    between: (step: string) => void = () => {},
  ) {
    const state = join(root, 'state')
    rmSync(state, { recursive: true, force: true })
    mkdirSync(state)
    this.#image = Image.open(directory, { journalBytesMax, files: { ...NODE_FILES, between } })
    const conventionalCount = this.#image.description.geometry.conventionalCount!
    const own = zones.Geometry.create({ ...GEOMETRY, conventionalCount })
    try {
      this.#image.restore(state)
    } catch (error) {
      this.#image.close({ clean: false })
      throw error
    }
    this.#buffer = mapShared(join(state, 'table'), DESCRIPTION.tableBytes, false)
    this.table = new zones.ZoneTable(new Int32Array(this.#buffer), own, 1, 4)
    this.media = openMedia({
      directory: state,
      dataDirectory: directory,
      bytes: geometry.totalBytes,
      regionBytes: ZONE_BYTES,
      inPlaceBytes: conventionalCount * ZONE_BYTES,
      sameFill: true,
      compression: 'lz4',
      tier: this.#image.tier?.path ?? null,
      tierOffsetBytes: TIER_HEAD_BYTES,
      create: false,
    })
    this.#image.attach(state, this.media)
  }

  append(zone: number, bytes: Uint8Array): void {
    const offset = zones.admitAppend(this.table, 0, zone, bytes.length / 512)
    expect(offset).toBeGreaterThanOrEqual(0)
    expect(this.media.write(zone * ZONE_BYTES + offset * 512, bytes)).toBe(bytes.length)
    this.table.beginBatch(0)
  }

  flush(): void {
    expect(this.#image.commit()).toBe(0)
  }

  /** Memory of zones whose reset has been flushed goes, but for so much. */
  afterFlush(spareBytes = 0): void {
    this.#image.afterCommit(spareBytes)
  }

  read(zone: number, length: number, offset = 0): Buffer | number {
    const bytes = Buffer.alloc(length)
    const result = this.media.read(zone * ZONE_BYTES + offset, bytes)
    return result < 0 ? result : bytes
  }

  close(clean = true): void {
    expect(this.#image.close({ clean })).toBe(0)
    this.media.close()
    unmapShared(this.#buffer)
  }
}

/** Where the bytes of a zone begin that has slot `slot`. */
export const slotAt = (slot: number): number =>
  TIER_HEAD_BYTES + (slot - 1) * slotBytesOf(ZONE_BYTES)

export const text = (zone: number, pages: number): Buffer =>
  Buffer.alloc(pages * 4096, `the zone ${zone}, `)
export const noise = (zone: number, pages: number): Buffer => {
  const bytes = Buffer.alloc(pages * 4096)
  let state = zone + 1
  for (let i = 0; i < bytes.length; i += 4) {
    state = Math.imul(state, 1664525) + 1013904223
    bytes.writeInt32LE(state | 0, i)
  }
  return bytes
}

/** Zones 2 to 9 and 20 written: compressed, raw and same-fill pages; zone 0 too. `journalBytesMax`: 0 puts all into the map. */
export function makeDrive(journalBytesMax = 1 << 24, tier: TierChoice | null = null): void {
  Image.create(image, DESCRIPTION, undefined, tier)
  const drive = new Drive(image, journalBytesMax)
  drive.media.write(0, noise(0, 2))
  for (const zone of [2, 3, 4, 5, 6, 7, 8, 9, 20]) {
    drive.append(zone, text(zone, 2))
    drive.append(zone, noise(zone, 2))
    drive.append(zone, Buffer.alloc(4096, zone))
    drive.flush()
  }
  drive.close()
}

export const contents = (zone: number): Buffer =>
  Buffer.concat([text(zone, 2), noise(zone, 2), Buffer.alloc(4096, zone)])

export function expectZones(drive: Drive, which: readonly number[]): void {
  for (const zone of which) {
    expect(drive.read(zone, 5 * 4096), `zone ${zone}`).toEqual(contents(zone))
    expect(zones.wpOf(drive.table.load(zone))).toBe(40)
  }
}

export function flip(name: string, offset: number): void {
  const fd = openSync(join(image, name), 'r+')
  const byte = Buffer.alloc(1)
  readSync(fd, byte, 0, 1, offset)
  writeSync(fd, Buffer.from([byte[0]! ^ 0x40]), 0, 1, offset)
  closeSync(fd)
}

export function codeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof ImageError) return `${error.code} ${error.message}`
    throw error
  }
  return 'nothing'
}
