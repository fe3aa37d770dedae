/** Turns of a queue on a fake char device: what is moved, what is committed, what is refused, what a kick does. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  COMMAND_APPEND_BIT,
  COMMAND_COMMIT,
  COMMAND_DISCARD,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_WRITE,
  kick,
  type NativeMedia,
  openMedia,
  PAGE_BYTES,
  STAMP_BIT,
  TAG_FAILED,
} from '../../ublk-native/index.js'
import { FAKE_ABORT, FAKE_KEEP, FAKE_REFUSE, FakeQueue } from './fake-queue.js'
import { random } from './random.js'

const BYTES = 8 << 20
const DEPTH = 8
const EFAULT = 14
const EINVAL = 22
const ENODEV = 19
const EIO = 5
const OP_READ = 0
const OP_WRITE = 1

let media: NativeMedia
let fake: FakeQueue
beforeEach(() => {
  media = openMedia({
    directory: null,
    bytes: BYTES,
    sameFill: true,
    create: true,
  })
  fake = new FakeQueue(media, DEPTH)
})
afterEach(() => {
  fake.close()
  media.close()
})

/** Fetch everything: the fake delivers all tags at once. */
function begin(): void {
  expect(fake.queue.commitAndFetch(0)).toBe(DEPTH)
  expect([...fake.queue.tags]).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
}

/** Write with tag 0, read back with tag 1, and compare; both are delivered again. */
function roundTrip(offset: number, bytes: Uint8Array): void {
  const sectors = bytes.length / 512
  fake.request(0, OP_WRITE, sectors)
  fake.setPayload(0, bytes)
  expect(fake.turn([{ kind: COMMAND_WRITE, tag: 0, bytes: bytes.length, offset }])).toBe(1)
  expect(fake.committed(0)).toEqual({ result: bytes.length, lba: 0 })
  fake.request(1, OP_READ, sectors)
  fake.setPayload(1, new Uint8Array(bytes.length).fill(0xee))
  expect(fake.turn([{ kind: COMMAND_READ, tag: 1, bytes: bytes.length, offset }])).toBe(1)
  expect(fake.committed(1).result).toBe(bytes.length)
  expect(Buffer.compare(fake.payload(1, bytes.length), bytes)).toBe(0)
}

describe('moves', () => {
  test('raw, same-fill and mixed pages, at every alignment of sectors', () => {
    begin()
    const rng = random('queue moves')
    const raw = rng.bytes(new Uint8Array(300 * 1024))
    const fill = new Uint8Array(300 * 1024).fill(7)
    const mixed = raw.slice()
    mixed.fill(1, 8192, 16384)
    mixed.fill(0, 65536, 65536 + 3 * PAGE_BYTES)
    for (const at of [0, 512, 4096, 65536 + 3584]) {
      for (const bytes of [raw, fill, mixed, raw, mixed, fill]) roundTrip(at, bytes)
    }
  })

  test('the largest request, of alternating kinds', () => {
    begin()
    const bytes = random('queue largest').bytes(new Uint8Array(1 << 20))
    for (let page = 0; page < 256; page += 3) bytes.fill(page, page << 12, (page + 1) << 12)
    for (let page = 1; page < 256; page += 6) bytes.fill(0, page << 12, (page + 1) << 12)
    roundTrip(4096, bytes)
    roundTrip(4096 + 512, bytes)
  })

  test('over raw pages in place, whatever is written', () => {
    begin()
    const rng = random('queue in place')
    const raw = () => rng.bytes(new Uint8Array(64 * PAGE_BYTES))
    roundTrip(0, raw())
    roundTrip(0, raw())
    expect(media.stats().rawPages).toBe(64)
    const mixed = raw()
    mixed.fill(5, 10 * PAGE_BYTES, 20 * PAGE_BYTES)
    roundTrip(0, mixed)
    roundTrip(0, new Uint8Array(64 * PAGE_BYTES).fill(6))
    expect(media.stats()).toMatchObject({ rawPages: 64, fillPages: 0 })
  })

  test('a random walk equals a plain buffer', () => {
    begin()
    const rng = random('queue walk')
    const model = new Uint8Array(BYTES)
    const word = new Uint8Array(8)
    for (let step = 0; step < 400; step++) {
      const sectors = 1 + rng.below(64)
      const offset = rng.below(256) * 512
      const bytes = new Uint8Array(sectors * 512)
      const sort = rng.below(3)
      if (sort === 0) rng.bytes(bytes)
      else if (sort === 1) rng.bytes(word)
      if (sort !== 0) for (let i = 0; i < bytes.length; i++) bytes[i] = word[(offset + i) % 8]!
      if (rng.below(5) === 0) {
        const discard = { kind: COMMAND_DISCARD, tag: 2, bytes: bytes.length, offset }
        expect(fake.turn([discard])).toBe(1)
        expect(fake.committed(2).result).toBe(0)
        model.fill(0, offset, offset + bytes.length)
      } else {
        roundTrip(offset, bytes)
        model.set(bytes, offset)
      }
    }
    const all = new Uint8Array(256 * 512 + 32768)
    media.read(0, all)
    expect(Buffer.compare(all, model.subarray(0, all.length)), `seed ${rng.seed}`).toBe(0)
  })

  test('a READ shorter than its request zeros the rest', () => {
    begin()
    media.write(0, new Uint8Array(8192).fill(9))
    fake.request(3, OP_READ, 16)
    fake.setPayload(3, new Uint8Array(8192).fill(0xee))
    expect(fake.turn([{ kind: COMMAND_READ, tag: 3, bytes: 512, offset: 0 }])).toBe(1)
    expect(fake.committed(3).result).toBe(8192)
    const got = fake.payload(3, 8192)
    expect(got.subarray(0, 512).every(byte => byte === 9)).toBe(true)
    expect(got.subarray(512).every(byte => byte === 0)).toBe(true)
  })

  test('same-fill pages of changing words, whatever the request before them left expanded', () => {
    begin()
    const pages = (...words: number[]) => {
      const bytes = new Uint8Array(words.length * PAGE_BYTES)
      for (const [page, word] of words.entries()) bytes.fill(word, page << 12, (page + 1) << 12)
      return bytes
    }
    for (const words of [[1, 1], [1, 2], [1, 1], [1, 1, 1, 2, 1], [1, 1, 1, 1], [3, 1, 1], [1]])
      roundTrip(0, pages(...words))
  })

  test('a READ that begins inside a word', () => {
    begin()
    const bytes = new Uint8Array(PAGE_BYTES).map((_, i) => 0x10 + (i % 8))
    media.write(0, bytes)
    expect(media.stats().fillPages).toBe(1)
    fake.request(0, OP_READ, 1)
    expect(fake.turn([{ kind: COMMAND_READ, tag: 0, bytes: 512, offset: 1027 }])).toBe(1)
    expect(Buffer.compare(fake.payload(0, 512), bytes.subarray(1027, 1539))).toBe(0)
  })

  test('a batch of all sorts commits every tag, in order', () => {
    begin()
    for (let tag = 0; tag < DEPTH; tag++) fake.request(tag, OP_READ, 8)
    const ready = fake.turn([
      { kind: COMMAND_COMMIT, tag: 5, result: -109 },
      { kind: COMMAND_FLUSH, tag: 1 },
      { kind: COMMAND_COMMIT | COMMAND_APPEND_BIT, tag: 2, result: -75, lba: 0x1234 },
      { kind: COMMAND_READ, tag: 0, bytes: 4096, offset: 4096 },
    ])
    expect(ready).toBe(4)
    expect([...fake.queue.tags.subarray(0, 4)]).toEqual([5, 1, 2, 0])
    expect([5, 1, 2, 0].map(tag => fake.committed(tag).result)).toEqual([-109, 0, -75, 4096])
    expect(fake.committed(2).lba).toBe(0x1234)
  })
})

describe('appends', () => {
  const append = (tag: number, lba: number) => ({
    kind: COMMAND_WRITE | COMMAND_APPEND_BIT,
    tag,
    bytes: 4096,
    offset: lba * 512,
    lba,
  })

  test('commit their LBA, and set the mark of the parity, and only that', () => {
    begin()
    fake.request(0, OP_WRITE, 8)
    fake.setPayload(0, new Uint8Array(4096).fill(1))
    expect(fake.turn([append(0, 80)], 0)).toBe(1)
    expect(fake.committed(0)).toEqual({ result: 4096, lba: 80 })
    expect([...fake.marks]).toEqual([0, 0, 1, 0, 0, 0, 0, 0])
    fake.marks.fill(0)
    expect(fake.turn([append(0, 88)], 1)).toBe(1)
    expect([...fake.marks]).toEqual([0, 0, 0, 0, 0, 0, 1, 0])
  })

  test('a turn without one sets no mark', () => {
    begin()
    expect(fake.turn([{ kind: COMMAND_FLUSH, tag: 0 }], 1)).toBe(1)
    expect(fake.marks.every(word => word === 0)).toBe(true)
  })
})

describe('a write that fails', () => {
  test('comes back marked, uncommitted, with its errno; and can be committed then', () => {
    begin()
    fake.request(0, OP_WRITE, 8)
    fake.request(1, OP_WRITE, 8)
    fake.setPayload(0, new Uint8Array(4096).fill(1))
    fake.request(6, OP_WRITE, 8)
    // Nothing was ever put at the place of tag 6, past the end of the file: its copy fails.
    const lost = { kind: COMMAND_WRITE, tag: 6, bytes: 4096, offset: 8192 }
    expect(fake.turn([{ kind: COMMAND_WRITE, tag: 0, bytes: 4096 }, lost])).toBe(1)
    expect(fake.queue.tags[0]).toBe(6 | TAG_FAILED)
    expect(fake.result(1)).toBe(-EIO)
    expect(fake.committed(6)).toEqual({ result: 0, lba: 0 })
    const ready = fake.turn([{ kind: COMMAND_COMMIT, tag: 6, result: -EIO }])
    expect([...fake.queue.tags.subarray(0, ready)].sort()).toEqual([0, 6])
    expect(fake.committed(6).result).toBe(-EIO)
  })

  test.each([
    ['no bytes', { bytes: 0, offset: 0 }],
    ['more than its request', { bytes: 4608, offset: 0 }],
    ['past the end of the media', { bytes: 4096, offset: BYTES - 512 }],
    ['far past the end', { bytes: 4096, offset: 2 ** 53 }],
  ])('with %s is refused before anything moves', (_, extent) => {
    begin()
    fake.request(0, OP_WRITE, 8)
    fake.setPayload(0, new Uint8Array(8192).fill(1))
    expect(fake.turn([{ kind: COMMAND_WRITE, tag: 0, ...extent }])).toBe(1)
    expect(fake.queue.tags[0]).toBe(TAG_FAILED)
    expect(fake.result(0)).toBe(-EINVAL)
    expect(media.stats().fillPages).toBe(0)
    fake.request(1, OP_READ, 8)
    expect(fake.turn([{ kind: COMMAND_READ, tag: 1, ...extent }])).toBe(1)
    expect(fake.committed(1).result).toBe(-EINVAL)
  })
})

describe('a broken contract is EFAULT, and nothing of the turn happens', () => {
  test.each([
    ['a kind there is not', [{ kind: 5, tag: 0 }]],
    ['a kind with stray bits', [{ kind: 0x201, tag: 0 }]],
    ['a READ that appends', [{ kind: COMMAND_READ | COMMAND_APPEND_BIT, tag: 0, bytes: 512 }]],
    ['a tag past the depth', [{ kind: COMMAND_COMMIT, tag: DEPTH }]],
    ['a negative tag', [{ kind: COMMAND_COMMIT, tag: -1 }]],
    [
      'a tag twice',
      [
        { kind: COMMAND_COMMIT, tag: 1, result: 3 },
        { kind: COMMAND_COMMIT, tag: 1, result: 4 },
      ],
    ],
  ])('%s', (_, commands) => {
    begin()
    expect(fake.turn(commands)).toBe(-EFAULT)
    expect(fake.committed(1).result).toBe(0)
  })

  test('more commands than tags, a parity there is not', () => {
    begin()
    expect(fake.queue.commitAndFetch(DEPTH + 1)).toBe(-EFAULT)
    expect(fake.queue.commitAndFetch(2 << 16)).toBe(-EFAULT)
  })

  test('a tag that was not delivered', () => {
    fake.request(3, FAKE_KEEP, 0)
    expect(fake.queue.commitAndFetch(0)).toBe(DEPTH - 1)
    expect(fake.turn([{ kind: COMMAND_COMMIT, tag: 3 }])).toBe(-EFAULT)
  })
})

describe('supply', () => {
  test('sends the stage to the request and gives the bytes taken', () => {
    begin()
    random('supply').bytes(fake.queue.stage)
    expect(fake.queue.supply(2, 8192)).toBe(8192)
    expect(Buffer.compare(fake.payload(2, 8192), fake.queue.stage.subarray(0, 8192))).toBe(0)
  })

  test('refuses tags that are not delivered and lengths that do not fit', () => {
    expect(fake.queue.supply(0, 64)).toBe(-EINVAL)
    begin()
    for (const [tag, bytes] of [
      [DEPTH, 64],
      [0, 0],
      [0, (1 << 20) + 1],
    ] as const)
      expect(fake.queue.supply(tag, bytes)).toBe(-EINVAL)
  })
})

describe('the end', () => {
  test('a kick returns 0, once, and keeps what else has come', () => {
    for (let tag = 0; tag < DEPTH; tag++) fake.request(tag, FAKE_KEEP, 0)
    kick(fake.queue.kickFd)
    expect(fake.queue.commitAndFetch(0)).toBe(0)
    kick(fake.queue.kickFd)
    expect(fake.queue.commitAndFetch(0)).toBe(0)
  })

  test('tags that came with the kick are not lost', () => {
    kick(fake.queue.kickFd)
    let delivered = 0
    for (let turns = 0; delivered < DEPTH && turns < 4; turns++)
      delivered += fake.queue.commitAndFetch(0)
    expect(delivered).toBe(DEPTH)
  })

  test('a stopped device is ENODEV when every tag has come back, not before', () => {
    for (let tag = 0; tag < DEPTH; tag++) fake.request(tag, FAKE_ABORT, 0)
    fake.request(4, OP_READ, 8)
    expect(fake.queue.commitAndFetch(0)).toBe(1)
    expect(fake.queue.tags[0]).toBe(4)
    // Seven are gone, one is served on.
    expect(fake.turn([{ kind: COMMAND_COMMIT, tag: 4 }])).toBe(1)
    fake.request(4, FAKE_ABORT, 8)
    expect(fake.turn([{ kind: COMMAND_COMMIT, tag: 4 }])).toBe(-ENODEV)
    expect(fake.queue.commitAndFetch(0)).toBe(-ENODEV)
    expect(fake.queue.failure()).toBeNull()
  })

  test('a refused fetch is EIO and says which', () => {
    fake.request(2, FAKE_REFUSE, 0)
    expect(fake.queue.commitAndFetch(0)).toBe(-EIO)
    expect(fake.queue.failure()).toEqual({ tag: 2, result: -EINVAL })
    expect(fake.queue.commitAndFetch(0)).toBe(-EIO)
  })

  test('a closed queue is EBADF and its descriptors are empty', () => {
    const { descriptors } = fake.queue
    expect(descriptors.length).toBe(DEPTH * 6)
    fake.queue.close()
    expect(descriptors.length).toBe(0)
    expect(fake.queue.commitAndFetch(0)).toBe(-9)
    expect(fake.queue.supply(0, 64)).toBe(-9)
    fake.queue.close()
  })

  test('the media may be closed before its queue', () => {
    begin()
    media.close()
    roundTrip(0, random('media closed').bytes(new Uint8Array(8192)))
  })
})

describe('times', () => {
  const nowUs = () => Number(process.hrtime.bigint()) / 1000

  test('of a turn that asks for them: executed, then delivered, on the clock of process.hrtime', () => {
    begin()
    kick(fake.queue.kickFd)
    const before = nowUs()
    expect(fake.queue.commitAndFetch(STAMP_BIT)).toBe(0)
    const [executed, delivered] = fake.queue.clock as unknown as [number, number]
    expect(executed).toBeGreaterThanOrEqual(before)
    expect(delivered).toBeGreaterThanOrEqual(executed)
    expect(delivered).toBeLessThanOrEqual(nowUs())
  })

  test('are left alone by other turns, and change nothing else of a turn', () => {
    begin()
    fake.queue.clock.fill(-1)
    fake.request(0, 2, 0)
    expect(fake.turn([{ kind: COMMAND_FLUSH, tag: 0 }])).toBe(1)
    expect([...fake.queue.clock]).toEqual([-1, -1])
    fake.command(0, { kind: COMMAND_FLUSH, tag: 0 })
    expect(fake.queue.commitAndFetch(1 | STAMP_BIT)).toBe(1)
    expect(fake.queue.clock[0]).toBeGreaterThan(0)
    expect(fake.queue.commitAndFetch((2 << 16) | STAMP_BIT)).toBe(-EFAULT)
  })
})
