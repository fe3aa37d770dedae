/**
 * Regions of a media: written in order and emptied whole, against a plain buffer; what is compressed, what memory it takes,
 * what is given back, what a limit refuses.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type Compression,
  type MediaOptions,
  openMedia,
  PAGE_BYTES,
} from '../../ublk-native/index.js'
import { random } from './random.js'
import { BYTES, expectSame, REGION_BYTES, REGIONS, someBytes, text, Walk } from './region-walk.js'

const ENOSPC = 28

let directory: string
beforeEach(() => {
  // In memory: a file system on a disk counts blocks of its own into a file's.
  directory = mkdtempSync('/dev/shm/zslab-regions-')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const open = (options: Partial<MediaOptions> = {}) =>
  openMedia({
    directory,
    bytes: BYTES,
    regionBytes: REGION_BYTES,
    sameFill: true,
    create: true,
    ...options,
  })

const blocks = () => statSync(join(directory, 'data')).blocks * 512

const CODECS: readonly Compression[] = ['none', 'lz4', 'zstd']

describe.each(CODECS)('%s', compression => {
  test.each([
    [4096, true],
    [512, true],
    [4096, false],
    [512, false],
  ])('a random walk in blocks of %i, same-fill %s', (block, sameFill) => {
    const rng = random(`regions ${compression} ${block} ${sameFill}`)
    const walk = new Walk(rng, block, 2)
    const options = {
      compression,
      sameFill,
      inPlaceBytes: 2 * REGION_BYTES,
      spareBytes: 40 * PAGE_BYTES,
    }
    let media = open(options)
    for (let step = 0; step < 800; step++) {
      walk.step(media, `seed ${rng.seed} step ${step}`)
      if (step % 40 === 0) expectSame(media, walk.model, `seed ${rng.seed} step ${step}`)
      if (step % 200 !== 199) continue
      const before = media.stats()
      media.close()
      media = open({ ...options, create: false })
      expect(media.stats(), 'reopened').toEqual(before)
    }
    expectSame(media, walk.model, 'end')
    media.recycle(0, BYTES)
    const { rawPages, fillPages, compressedPages, memoryBytes, spareBytes } = media.stats()
    expect({ rawPages, fillPages, compressedPages }).toEqual({
      rawPages: 0,
      fillPages: 0,
      compressedPages: 0,
    })
    expect(memoryBytes).toBe(spareBytes)
    expect(spareBytes).toBeLessThanOrEqual(40 * PAGE_BYTES)
    expect(blocks()).toBe(memoryBytes)
    media.close()
  })

  test('counts are right after a process that was killed', () => {
    const options = { compression, spareBytes: 8 * PAGE_BYTES }
    const media = open(options)
    const rng = random(`regions recount ${compression}`)
    for (let region = 0; region < 4; region++)
      for (let page = 0; page < 8; page++)
        media.write(region * REGION_BYTES + page * PAGE_BYTES, someBytes(rng, PAGE_BYTES))
    media.recycle(REGION_BYTES, REGION_BYTES)
    const before = media.stats()
    media.close()
    const path = join(directory, 'pages')
    const file = readFileSync(path)
    file.writeBigInt64LE(1n, 40)
    file.writeBigInt64LE(-99n, 48)
    file.writeBigInt64LE(-99n, 56)
    for (let region = 0; region < REGIONS; region++) {
      for (const at of [24, 32, 40, 48]) file.writeBigInt64LE(77n, 64 + region * 128 + at)
    }
    writeFileSync(path, file)
    const again = open({ ...options, create: false })
    expect(again.stats()).toEqual(before)
    again.close()
  })
})

test.each([
  ['lz4', 0.55],
  ['zstd', 0.4],
] as const)('%s: text takes little memory, what does not shrink takes its own size', (compression, share) => {
  const media = open({ compression })
  const rng = random(`regions memory ${compression}`)
  for (let page = 0; page < 32; page++) media.write(page * PAGE_BYTES, text(rng, PAGE_BYTES))
  const packed = media.stats().regions[0]!
  expect(packed).toMatchObject({ compressedPages: 32, rawPages: 0 })
  expect(packed.compressedBytes).toBeLessThan(REGION_BYTES * share)
  // Reserved by 64 KiB.
  expect(packed.memoryBytes - packed.compressedBytes).toBeLessThan(64 * 1024 + 32 * 8)
  media.write(REGION_BYTES, rng.bytes(new Uint8Array(REGION_BYTES)))
  expect(media.stats().regions[1]).toMatchObject({ rawPages: 32, memoryBytes: REGION_BYTES })
  media.close()
})

describe.each(CODECS.filter(codec => codec !== 'none'))('%s, the estimate', compression => {
  test('text among pages that do not shrink, and after them, is compressed', () => {
    const media = open({ compression })
    const rng = random(`regions estimate ${compression}`)
    media.write(0, rng.bytes(new Uint8Array(REGION_BYTES)))
    for (let page = 32; page < 96; page++) {
      const bytes = page % 2 === 0 ? text(rng, PAGE_BYTES) : rng.bytes(new Uint8Array(PAGE_BYTES))
      media.write(page * PAGE_BYTES, bytes)
    }
    expect(media.stats()).toMatchObject({ compressedPages: 32, rawPages: 64 })
    media.close()
  })

  test('what shrinks but looks as what did not is passed over at first, and soon found out', () => {
    const media = open({ compression })
    const rng = random(`regions look-alikes ${compression}`)
    // One page 32 times: of different ones, one that looks unlike the others by chance may end the passing over just here.
    const noise = rng.bytes(new Uint8Array(PAGE_BYTES))
    for (let page = 0; page < 32; page++) media.write(page * PAGE_BYTES, noise)
    const writeTwice = (page: number) => {
      const half = rng.bytes(new Uint8Array(PAGE_BYTES / 2))
      media.write(page * PAGE_BYTES, new Uint8Array([...half, ...half]))
    }
    for (let page = 32; page < 64; page++) writeTwice(page)
    const { rawPages, compressedPages } = media.stats().regions[1]!
    expect(rawPages).toBeGreaterThan(0)
    expect(rawPages).toBeLessThanOrEqual(16)
    expect(compressedPages).toBe(32 - rawPages)
    // From then on it takes several failures again, and not one.
    media.write(64 * PAGE_BYTES, rng.bytes(new Uint8Array(PAGE_BYTES)))
    for (let page = 65; page < 70; page++) writeTwice(page)
    expect(media.stats().regions[2]).toMatchObject({ rawPages: 1, compressedPages: 5 })
    media.close()
  })
})

test('past the limit a write is ENOSPC, nothing is lost, and a reset makes room', () => {
  const limitBytes = 40 * PAGE_BYTES
  const media = open({ limitBytes, spareBytes: 16 * PAGE_BYTES })
  const rng = random('regions limit')
  const bytes = rng.bytes(new Uint8Array(BYTES))
  const write = (page: number) =>
    media.write(page * PAGE_BYTES, bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES))
  let page = 0
  while (write(page) === PAGE_BYTES) page++
  expect(page).toBe(40)
  expect(write(page)).toBe(-ENOSPC)
  // Same-fill pages take none.
  expect(media.write(2 * REGION_BYTES, new Uint8Array(REGION_BYTES).fill(3))).toBe(REGION_BYTES)
  const back = new Uint8Array(40 * PAGE_BYTES)
  media.read(0, back)
  expect(Buffer.compare(back, bytes.subarray(0, back.length))).toBe(0)
  expect(media.recycle(0, REGION_BYTES)).toBe(0)
  expect(media.stats().spareBytes).toBe(16 * PAGE_BYTES)
  // What the reset has kept is given back to the region that wants it.
  for (; page < 64; page++) expect(write(page), `page ${page}`).toBe(PAGE_BYTES)
  expect(media.stats()).toMatchObject({ spareBytes: 0, memoryBytes: REGION_BYTES })
  expect(media.stats().memoryBytes).toBeLessThanOrEqual(limitBytes)
  media.close()
})

test('the limit holds in place too', () => {
  const media = open({ inPlaceBytes: BYTES, limitBytes: 10 * PAGE_BYTES })
  const bytes = random('regions in place').bytes(new Uint8Array(10 * PAGE_BYTES))
  expect(media.write(0, bytes)).toBe(bytes.length)
  expect(media.write(bytes.length, bytes.subarray(0, PAGE_BYTES))).toBe(-ENOSPC)
  expect(media.write(0, bytes)).toBe(bytes.length)
  media.discard(0, PAGE_BYTES)
  expect(media.write(bytes.length, bytes.subarray(0, PAGE_BYTES))).toBe(PAGE_BYTES)
  media.close()
})

test('a part of a page that is compressed is rewritten in what it was', () => {
  const media = open({ compression: 'zstd' })
  const rng = random('regions part')
  const page = text(rng, PAGE_BYTES)
  media.write(0, page)
  expect(media.stats().compressedPages).toBe(1)
  const part = rng.bytes(new Uint8Array(512))
  media.write(1024, part)
  page.set(part, 1024)
  const back = new Uint8Array(PAGE_BYTES)
  media.read(0, back)
  expect(Buffer.compare(back, page)).toBe(0)
  expect(media.stats()).toMatchObject({ compressedPages: 0, rawPages: 1 })
  media.close()
})

test('damaged bytes are EIO, not wrong ones and not a crash', () => {
  const media = open({ compression: 'lz4' })
  media.write(0, text(random('regions damage'), 4 * PAGE_BYTES))
  const path = join(directory, 'data')
  const file = readFileSync(path)
  file.fill(0xff, 0, 4096)
  writeFileSync(path, file, { flag: 'r+' })
  expect(media.read(0, new Uint8Array(PAGE_BYTES))).toBe(-5)
  media.close()
})

describe('refuses', () => {
  test('a media of other regions, and says which', () => {
    open().close()
    expect(() => open({ create: false, regionBytes: 2 * REGION_BYTES })).toThrow(
      `regions of ${REGION_BYTES}, not ${2 * REGION_BYTES}`,
    )
    expect(() => open({ create: false, compression: 'lz4' })).toThrow(/compression 0, not 1/)
  })
  test('sizes that do not fit together', () => {
    expect(() => open({ regionBytes: 3 * PAGE_BYTES })).toThrow(/power of two/)
    expect(() => open({ regionBytes: 1 << 30 })).toThrow(/multiple/)
    expect(() => open({ inPlaceBytes: PAGE_BYTES })).toThrow(/whole regions/)
    expect(() => open({ compression: 'zstd', compressionLevel: 99 })).toThrow(/compression/)
  })
})
