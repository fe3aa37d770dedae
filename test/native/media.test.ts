/** The media against a plain buffer: contents, statistics, what a reopened one holds, what a full file system does. */
import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type NativeMedia, openMedia, PAGE_BYTES } from '../../ublk-native/index.js'
import { type Random, random } from './random.js'

const PAGES = 64
const BYTES = PAGES * PAGE_BYTES
const HOLE = 0
const FILL = 1
const RAW = 2

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zslab-media-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** What a media must be: a buffer, and the kind of every page. */
class Model {
  readonly bytes = new Uint8Array(BYTES)
  readonly kinds = new Uint8Array(PAGES)

  constructor(readonly sameFill: boolean) {}

  #page(page: number): Uint8Array {
    return this.bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
  }

  #isSame(page: number): boolean {
    return this.#page(page).every((byte, i, all) => byte === all[i % 8])
  }

  write(offset: number, source: Uint8Array): void {
    this.bytes.set(source, offset)
    const end = offset + source.length
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      // A page that has memory keeps it: see storeInPlace() in media.cc.
      const stays = this.kinds[page] === RAW
      this.kinds[page] = !stays && this.sameFill && this.#isSame(page) ? FILL : RAW
    }
  }

  discard(offset: number, length: number): void {
    const end = offset + length
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      const from = Math.max(offset, page * PAGE_BYTES)
      const to = Math.min(end, (page + 1) * PAGE_BYTES)
      if (to - from === PAGE_BYTES) {
        this.#page(page).fill(0)
        this.kinds[page] = HOLE
      } else if (this.kinds[page] !== HOLE && this.#page(page).some(byte => byte !== 0)) {
        this.write(from, new Uint8Array(to - from))
      } else if (this.kinds[page] === RAW) {
        this.write(from, new Uint8Array(to - from))
      }
    }
  }

  stats() {
    const count = (kind: number) => this.kinds.filter(k => k === kind).length
    const pages = {
      rawPages: count(RAW),
      fillPages: count(FILL),
      compressedPages: 0,
      compressedBytes: 0,
      memoryBytes: count(RAW) * PAGE_BYTES,
      tier: { pages: 0, bytes: 0, readPages: 0, writtenPages: 0 },
    }
    return { ...pages, spareBytes: 0, regions: [{ ...pages, slot: 0 }] }
  }
}

/** Bytes of all sorts: random, one word, zeros, one word with a random page in it. */
function someBytes(rng: Random, length: number, phase: number): Uint8Array {
  const bytes = new Uint8Array(length)
  const sort = rng.below(4)
  if (sort === 0) return rng.bytes(bytes)
  if (sort === 1) return bytes
  const word = rng.bytes(new Uint8Array(8))
  for (let i = 0; i < length; i++) bytes[i] = word[(phase + i) % 8]!
  if (sort === 3) rng.bytes(bytes.subarray(length >> 1, (length >> 1) + PAGE_BYTES))
  return bytes
}

function expectSame(media: NativeMedia, model: Model, step: string): void {
  const all = new Uint8Array(BYTES)
  expect(media.read(0, all), step).toBe(BYTES)
  if (Buffer.compare(all, model.bytes) !== 0) {
    expect.fail(`${step}: byte ${all.findIndex((byte, i) => byte !== model.bytes[i])} differs`)
  }
  expect(media.stats(), step).toEqual(model.stats())
}

describe.each([512, 4096, 1])('blocks of %i bytes', block => {
  test.each([true, false])('random walk, same-fill %s', sameFill => {
    const rng = random(`media ${block} ${sameFill}`)
    const model = new Model(sameFill)
    const media = openMedia({ directory: null, bytes: BYTES, sameFill, create: true })
    for (let step = 0; step < 600; step++) {
      const offset = rng.below(BYTES / block) * block
      const limit = Math.min(BYTES - offset, rng.below(4) === 0 ? 40_960 : 9000)
      const length = Math.max(1, Math.floor((rng.below(limit) + 1) / block)) * block
      const what = `seed ${rng.seed} step ${step} at ${offset} length ${length}`
      if (rng.below(4) === 0) {
        expect(media.discard(offset, length), what).toBe(0)
        model.discard(offset, length)
      } else {
        const bytes = someBytes(rng, length, offset)
        expect(media.write(offset, bytes), what).toBe(length)
        model.write(offset, bytes)
      }
      const part = new Uint8Array(length)
      expect(media.read(offset, part)).toBe(length)
      expect(Buffer.compare(part, model.bytes.subarray(offset, offset + length)), what).toBe(0)
      if (step % 20 === 0) expectSame(media, model, what)
    }
    expectSame(media, model, 'end')
    expect(media.flush()).toBe(0)
    expect(media.discard(0, BYTES)).toBe(0)
    expect(media.stats()).toMatchObject({ rawPages: 0, fillPages: 0, memoryBytes: 0 })
    media.close()
  })
})

test('discarded and same-fill pages take no memory', () => {
  const media = openMedia({ directory, bytes: BYTES, sameFill: true, create: true })
  const blocks = () => statSync(join(directory, 'data')).blocks * 512
  const rng = random('media memory')
  expect(blocks()).toBe(0)
  media.write(0, rng.bytes(new Uint8Array(16 * PAGE_BYTES)))
  expect(blocks()).toBe(16 * PAGE_BYTES)
  media.write(20 * PAGE_BYTES, new Uint8Array(4 * PAGE_BYTES).fill(9))
  expect(blocks()).toBe(16 * PAGE_BYTES)
  media.discard(8 * PAGE_BYTES, 4 * PAGE_BYTES)
  expect(blocks()).toBe(12 * PAGE_BYTES)
  media.discard(0, BYTES)
  expect(blocks()).toBe(0)
  media.close()
})

test('a reopened media holds everything, and two that are open see the same', () => {
  const rng = random('media reopen')
  const model = new Model(true)
  const options = { directory, bytes: BYTES, sameFill: true }
  const first = openMedia({ ...options, create: true })
  const second = openMedia({ ...options, create: false })
  for (let step = 0; step < 200; step++) {
    const media = rng.below(2) === 0 ? first : second
    const offset = rng.below(BYTES / 512 - 32) * 512
    const bytes = someBytes(rng, (1 + rng.below(32)) * 512, offset)
    media.write(offset, bytes)
    model.write(offset, bytes)
  }
  expectSame(first, model, 'first')
  expectSame(second, model, 'second')
  first.close()
  second.close()
  const third = openMedia({ ...options, create: false })
  expectSame(third, model, 'third')
  third.close()
})

test('counters that a killed process left wrong are counted again by the next one', () => {
  const options = { directory, bytes: BYTES, sameFill: true }
  const media = openMedia({ ...options, create: true })
  media.write(0, random('recount').bytes(new Uint8Array(3 * PAGE_BYTES)))
  media.write(5 * PAGE_BYTES, new Uint8Array(2 * PAGE_BYTES).fill(1))
  media.close()
  const path = join(directory, 'pages')
  const file = readFileSync(path)
  // Where layout.h has them: the owner, bytes used; raw and fill pages of the one region.
  file.writeBigInt64LE(1n, 40)
  file.writeBigInt64LE(-5n, 48)
  file.writeBigInt64LE(1000n, 64 + 24)
  file.writeBigInt64LE(-5n, 64 + 32)
  writeFileSync(path, file)
  const again = openMedia({ ...options, create: false })
  expect(again.stats()).toMatchObject({
    rawPages: 3,
    fillPages: 2,
    memoryBytes: 3 * PAGE_BYTES,
  })
  again.close()
})

describe('refuses to open', () => {
  const open =
    (bytes: number, create = false) =>
    () =>
      openMedia({ directory, bytes, sameFill: true, create })

  test('what is not there', () => expect(open(BYTES)).toThrow(/ENOENT/))
  test('a size of no whole pages', () => expect(open(BYTES + 512, true)).toThrow(/4096/))
  test('a size of nothing', () => expect(open(0, true)).toThrow(/EINVAL/))
  test('another size, and says which', () => {
    open(BYTES, true)().close()
    expect(open(2 * BYTES)).toThrow(`made for a size of ${BYTES}, not ${2 * BYTES}`)
  })
  test('what is no page map', () => {
    open(BYTES, true)().close()
    writeFileSync(join(directory, 'pages'), Buffer.alloc(8192, 'x'))
    expect(open(BYTES)).toThrow(/not a page map/)
    writeFileSync(join(directory, 'pages'), 'short')
    expect(open(BYTES)).toThrow(/too short/)
  })
  test('another version', () => {
    open(BYTES, true)().close()
    const file = readFileSync(join(directory, 'pages'))
    file.writeUInt32LE(99, 8)
    writeFileSync(join(directory, 'pages'), file)
    expect(open(BYTES)).toThrow(/version 99/)
  })
  test('data that was cut', () => {
    open(BYTES, true)().close()
    truncateSync(join(directory, 'data'), 4096)
    expect(open(BYTES)).toThrow(/cut or grown/)
  })
})

test('a closed media answers EBADF, what is out of range EINVAL', () => {
  const media = openMedia({ directory: null, bytes: BYTES, sameFill: true, create: true })
  const page = new Uint8Array(PAGE_BYTES)
  expect(media.write(BYTES - 512, page)).toBe(-22)
  expect(media.read(2 ** 53 - 4096, page)).toBe(-22)
  expect(media.discard(0, BYTES + 1)).toBe(-22)
  expect(media.write(BYTES, new Uint8Array(0))).toBe(0)
  media.close()
  media.close()
  for (const result of [media.read(0, page), media.write(0, page), media.discard(0, 1)])
    expect(result).toBe(-9)
})

const isRoot = process.getuid?.() === 0
test.skipIf(!isRoot)('a full file system is ENOSPC, and discards make room (root only)', () => {
  const mount = join(directory, 'small')
  mkdirSync(mount)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mount])
  try {
    const bytes = 64 << 20
    const media = openMedia({ directory: mount, bytes, sameFill: true, create: true })
    const rng = random('media full')
    const page = rng.bytes(new Uint8Array(PAGE_BYTES))
    let stored = 0
    while (media.write(stored * PAGE_BYTES, page) === PAGE_BYTES) stored++
    expect(stored).toBeGreaterThan(40)
    expect(stored).toBeLessThan(64)
    expect(media.write(stored * PAGE_BYTES, page)).toBe(-28)
    expect(media.write(stored * PAGE_BYTES + 512, page.subarray(0, 512))).toBe(-28)
    expect(media.stats().rawPages).toBe(stored)
    const back = new Uint8Array(PAGE_BYTES)
    expect(media.read((stored - 1) * PAGE_BYTES, back)).toBe(PAGE_BYTES)
    expect(Buffer.compare(back, page)).toBe(0)
    expect(media.read((stored + 1) * PAGE_BYTES, back)).toBe(PAGE_BYTES)
    expect(back.every(byte => byte === 0)).toBe(true)
    // Far off, not even the page map has memory: neither kinds nor words.
    const far = 10_000 * PAGE_BYTES
    for (const result of [media.write(far, page), media.read(far, back), media.discard(far, 4096)])
      expect(result).toBe(-28)
    expect(media.write(1000 * PAGE_BYTES, back.fill(3))).toBe(-28)
    expect(media.discard(0, 8 * PAGE_BYTES)).toBe(0)
    expect(media.write(stored * PAGE_BYTES, page)).toBe(PAGE_BYTES)
    expect(media.write(far, back)).toBe(PAGE_BYTES)
    expect(media.stats()).toMatchObject({ rawPages: stored - 7, fillPages: 1 })
    media.close()
  } finally {
    execFileSync('umount', [mount])
  }
})
