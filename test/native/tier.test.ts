/**
 * The tier of a media: pages that have moved read the same, whatever happens to their region before, meanwhile and after;
 * their memory comes back; a process that is killed leaves all of it readable.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  COMMAND_READ,
  COMMAND_WRITE,
  type MediaOptions,
  type NativeMedia,
  openMedia,
  PAGE_BYTES,
  PAGE_COMPRESSED,
  PAGE_RAW,
} from '../../ublk-native/index.js'
import { FakeQueue } from './fake-queue.js'
import { type Random, random } from './random.js'
import { BYTES, expectSame, REGION_BYTES, REGIONS, someBytes, text, Walk } from './region-walk.js'

const PAGES = REGION_BYTES / PAGE_BYTES
const BOTH = (1 << PAGE_RAW) | (1 << PAGE_COMPRESSED)
const EIO = 5
const EINVAL = 22
const EBUSY = 16

let directory: string
let tier: string
beforeEach(() => {
  directory = mkdtempSync('/dev/shm/zslab-tier-')
  tier = join(directory, 'tier')
  writeFileSync(tier, '')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function open(options: Partial<MediaOptions> = {}): NativeMedia {
  const own = { directory, tier, bytes: BYTES, regionBytes: REGION_BYTES, sameFill: true }
  const media = openMedia({ ...own, create: true, ...options })
  truncateSync(tier, REGIONS * media.slotBytes)
  return media
}

const blocks = (name: string) => statSync(join(directory, name)).blocks * 512

/** As the next process finds it: the counters are made again. */
function forgetOwner(): void {
  const path = join(directory, 'pages')
  const file = readFileSync(path)
  file.writeBigInt64LE(1n, 40)
  writeFileSync(path, file, { flag: 'r+' })
}

/** What the tierer does with slots: any free one for a region that has none. */
function demote(media: NativeMedia, rng: Random, region: number): number {
  const { regions } = media.stats()
  const taken = new Set(regions.map(({ slot }) => slot))
  const free = Array.from({ length: REGIONS }, (_, i) => i + 1).filter(slot => !taken.has(slot))
  const slot = regions[region]!.slot || free[rng.below(free.length)]!
  const first = rng.below(PAGES)
  const end = first + rng.below(PAGES - first + 1)
  const kinds = [1 << PAGE_RAW, 1 << PAGE_COMPRESSED, BOTH][rng.below(3)]!
  const { result, next, bytes } = media.demote(region, slot, first, end, kinds)
  expect(result).toBe(0)
  expect(next).toBe(end)
  return bytes
}

/** Reads a queue sends to the kernel, of any extent within a region. */
function readThroughQueue(queue: FakeQueue, rng: Random, block: number, model: Uint8Array): void {
  const start = rng.below(REGIONS) * REGION_BYTES
  const from = rng.below(REGION_BYTES / block) * block
  const length = (1 + rng.below((REGION_BYTES - from) / block)) * block
  queue.request(0, 0, length / 512)
  queue.turn([{ kind: COMMAND_READ, tag: 0, bytes: length, offset: start + from }])
  expect(queue.committed(0).result).toBe(length)
  const expected = model.subarray(start + from, start + from + length)
  expect(Buffer.compare(queue.payload(0, length), expected)).toBe(0)
}

describe.each([
  ['none', 4096],
  ['none', 512],
  ['lz4', 4096],
  ['zstd', 512],
] as const)('%s, blocks of %i', (compression, block) => {
  test('a random walk with demotions', () => {
    const rng = random(`tier ${compression} ${block}`)
    const walk = new Walk(rng, block, 1)
    const options = { compression, inPlaceBytes: REGION_BYTES, spareBytes: 8 * PAGE_BYTES }
    let media = open(options)
    let queue = new FakeQueue(media, 4)
    queue.turn([])
    let moved = 0
    let readPages = 0
    for (let step = 0; step < 1500; step++) {
      const what = `seed ${rng.seed} step ${step}`
      const op = rng.below(8)
      const region = 1 + rng.below(REGIONS - 1)
      if (op < 4) walk.step(media, what)
      else if (op === 4) moved += demote(media, rng, region)
      else if (op === 5) expect(media.release(region), what).toBe(0)
      else if (op === 6) readThroughQueue(queue, rng, block, walk.model)
      else if (media.stats().regions[region]!.tier.pages === 0)
        expect(media.dropSlot(region), what).toBe(0)
      else expect(media.dropSlot(region), what).toBe(-EBUSY)
      if (step % 40 === 0) expectSame(media, walk.model, what)
      if (step % 300 !== 299) continue
      for (let each = 0; each < REGIONS; each++) expect(media.release(each), what).toBe(0)
      const before = media.stats()
      readPages += before.tier.readPages
      queue.close()
      media.close()
      forgetOwner()
      media = open({ ...options, create: false })
      expect(media.stats(), `${what}: reopened`).toEqual(before)
      queue = new FakeQueue(media, 4)
      queue.turn([])
    }
    expectSame(media, walk.model, 'end')
    expect(moved).toBeGreaterThan(100 * 1024)
    expect(readPages).toBeGreaterThan(100)
    media.recycle(0, BYTES)
    for (let region = 0; region < REGIONS; region++) expect(media.dropSlot(region)).toBe(0)
    const { memoryBytes, spareBytes, tier: left } = media.stats()
    expect(left).toMatchObject({ pages: 0, bytes: 0 })
    expect(memoryBytes).toBe(spareBytes)
    expect(blocks('data')).toBe(memoryBytes)
    expect(blocks('tier')).toBe(0)
    queue.close()
    media.close()
  })
})

test('memory comes back: of raw pages all of it, of compressed ones all but the ends', () => {
  const media = open({ compression: 'lz4' })
  const rng = random('tier memory')
  media.write(REGION_BYTES, text(rng, REGION_BYTES))
  media.write(0, rng.bytes(new Uint8Array(REGION_BYTES)))
  const before = media.stats()
  expect(before.regions[1]!.compressedPages).toBe(PAGES)
  expect(media.demote(0, 1, 0, PAGES, 1 << PAGE_RAW)).toEqual({
    result: 0,
    next: PAGES,
    bytes: REGION_BYTES,
  })
  expect(media.demote(1, 2, 0, PAGES, BOTH).bytes).toBe(before.regions[1]!.compressedBytes)
  // Readers may still be there.
  expect(media.stats().memoryBytes).toBe(before.memoryBytes)
  for (const region of [0, 1]) expect(media.release(region)).toBe(0)
  const after = media.stats()
  expect(after.regions[0]!.memoryBytes).toBe(0)
  // What was reserved and not taken, and the last block that the pages share with it.
  expect(after.regions[1]!.memoryBytes).toBeLessThanOrEqual(64 * 1024 + PAGE_BYTES)
  expect(after.regions[1]!.memoryBytes).toBeLessThan(before.regions[1]!.memoryBytes)
  expect(after.memoryBytes).toBe(blocks('data'))
  expect(after.tier).toMatchObject({ pages: 2 * PAGES, writtenPages: 2 * PAGES, readPages: 0 })
  media.close()
})

test('more than one call moves goes on where it ended', () => {
  const regionBytes = 4 << 20
  const own = { directory, tier, bytes: 2 * regionBytes, regionBytes, sameFill: true, create: true }
  const media = openMedia(own)
  truncateSync(tier, 2 * media.slotBytes)
  const bytes = random('tier long').bytes(new Uint8Array(regionBytes))
  media.write(0, bytes)
  const nexts: number[] = []
  for (let next = 0; next < 1024; ) {
    const demotion = media.demote(0, 2, next, 1024, BOTH)
    expect(demotion).toMatchObject({ result: 0, bytes: 1 << 20 })
    next = demotion.next
    nexts.push(next)
  }
  expect(nexts).toEqual([256, 512, 768, 1024])
  expect(media.release(0)).toBe(0)
  expect(media.stats().memoryBytes).toBe(0)
  const back = new Uint8Array(regionBytes)
  expect(media.read(0, back)).toBe(regionBytes)
  expect(Buffer.compare(back, bytes)).toBe(0)
  media.close()
})

test('the limit counts what is in memory only', () => {
  const media = open({ limitBytes: REGION_BYTES })
  const rng = random('tier limit')
  const bytes = rng.bytes(new Uint8Array(REGION_BYTES))
  expect(media.write(0, bytes)).toBe(REGION_BYTES)
  expect(media.write(REGION_BYTES, bytes.subarray(0, PAGE_BYTES))).toBe(-28)
  media.demote(0, 1, 0, PAGES, BOTH)
  expect(media.release(0)).toBe(0)
  expect(media.write(REGION_BYTES, bytes)).toBe(REGION_BYTES)
  media.close()
})

test('a region that is written again after a reset has nothing of the tier', () => {
  const media = open()
  const rng = random('tier again')
  const [old, fresh] = [0, 1].map(() => rng.bytes(new Uint8Array(REGION_BYTES))) as [
    Uint8Array,
    Uint8Array,
  ]
  media.write(0, old)
  media.demote(0, 1, 0, PAGES, BOTH)
  expect(media.release(0)).toBe(0)
  media.recycle(0, REGION_BYTES)
  media.write(0, fresh)
  expect(media.release(0)).toBe(0)
  const back = new Uint8Array(REGION_BYTES)
  media.read(0, back)
  expect(Buffer.compare(back, fresh)).toBe(0)
  expect(media.stats().regions[0]).toMatchObject({ slot: 1, rawPages: PAGES, tier: { pages: 0 } })
  media.close()
})

test('a write through a queue does not go where a page in the tier has its place', () => {
  const media = open()
  const rng = random('tier rewrite')
  const [first, second] = [0, 1].map(() => rng.bytes(new Uint8Array(8 * PAGE_BYTES))) as [
    Uint8Array,
    Uint8Array,
  ]
  const queue = new FakeQueue(media, 4)
  queue.turn([])
  const write = (bytes: Uint8Array): void => {
    queue.request(0, 1, bytes.length / 512)
    queue.setPayload(0, bytes)
    queue.turn([{ kind: COMMAND_WRITE, tag: 0, bytes: bytes.length, offset: 0 }])
    expect(queue.committed(0).result).toBe(bytes.length)
  }
  write(first)
  expect(media.demote(0, 1, 0, 4, BOTH).bytes).toBe(4 * PAGE_BYTES)
  expect(media.release(0)).toBe(0)
  // As after a crash: the kernel sends again what was not acknowledged.
  write(second)
  const back = new Uint8Array(second.length)
  expect(media.read(0, back)).toBe(back.length)
  expect(Buffer.compare(back, second)).toBe(0)
  expect(media.stats()).toMatchObject({ rawPages: 8, tier: { pages: 0 } })
  queue.close()
  media.close()
})

test('damage and misuse are errors', () => {
  const media = open({ compression: 'lz4', inPlaceBytes: REGION_BYTES })
  const rng = random('tier misuse')
  media.write(REGION_BYTES, someBytes(rng, REGION_BYTES).fill(9, 0, 8))
  media.write(2 * REGION_BYTES, rng.bytes(new Uint8Array(REGION_BYTES)))
  for (const [region, slot, end] of [
    [0, 1, PAGES],
    [1, 0, PAGES],
    [REGIONS, 1, PAGES],
    [1, 1, PAGES + 1],
  ] as const)
    expect(media.demote(region, slot, 0, end, BOTH).result).toBe(-EINVAL)
  expect(media.demote(2, 3, 0, PAGES, BOTH).result).toBe(0)
  expect(media.demote(2, 4, 0, PAGES, BOTH).result).toBe(-EINVAL)
  expect(media.release(REGIONS)).toBe(-EINVAL)
  truncateSync(tier, 0)
  expect(media.read(2 * REGION_BYTES, new Uint8Array(PAGE_BYTES))).toBe(-EIO)
  media.close()
  expect(media.demote(2, 3, 0, PAGES, BOTH).result).toBe(-9)
  expect(() => open({ tier: join(directory, 'gone') })).toThrow(/the tier .*gone/)
})
