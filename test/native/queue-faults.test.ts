/** What faults need of a queue: a wait that ends by itself, and a write that is stored in part and fails. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  COMMAND_APPEND_BIT,
  COMMAND_WRITE,
  kick,
  type NativeMedia,
  openMedia,
  PAGE_BYTES,
  TAG_FAILED,
} from '../../ublk-native/index.js'
import { FAKE_KEEP, FakeQueue } from './fake-queue.js'

const BYTES = 8 << 20
const DEPTH = 8
const EINVAL = 22
const EIO = 5
const OP_WRITE = 1

let media: NativeMedia
let fake: FakeQueue
beforeEach(() => {
  media = openMedia({ directory: null, bytes: BYTES, sameFill: true, create: true })
  fake = new FakeQueue(media, DEPTH)
})
afterEach(() => {
  fake.close()
  media.close()
})

describe('a wait with an end', () => {
  /** Every tag is with the kernel, and stays there. */
  const keepAll = () => {
    for (let tag = 0; tag < DEPTH; tag++) fake.request(tag, FAKE_KEEP, 0)
    kick(fake.queue.kickFd)
    expect(fake.queue.commitAndFetch(0)).toBe(0)
  }

  test('ends by itself, and gives 0 as a kick does', () => {
    keepAll()
    const began = performance.now()
    fake.queue.wakeIn(30_000)
    expect(fake.queue.commitAndFetch(0)).toBe(0)
    expect(performance.now() - began).toBeGreaterThanOrEqual(29)
  })

  test('is for one wait: the next is without end', () => {
    keepAll()
    fake.queue.wakeIn(1000)
    expect(fake.queue.commitAndFetch(0)).toBe(0)
    kick(fake.queue.kickFd)
    // Without the kick this would never return.
    expect(fake.queue.commitAndFetch(0)).toBe(0)
  })

  test('gives what came before its end at once', () => {
    fake.queue.wakeIn(3_600_000_000)
    expect(fake.queue.commitAndFetch(0)).toBe(DEPTH)
  })

  test('a number that is none is refused', () => {
    expect(() => fake.queue.wakeIn(-1)).toThrow(TypeError)
    expect(() => fake.queue.wakeIn(2 ** 32)).toThrow(TypeError)
  })
})

describe('a torn write', () => {
  const bytes = new Uint8Array(4 * PAGE_BYTES).map((_, i) => (i * 2654435761) >>> 24)
  test.each([
    0,
    COMMAND_APPEND_BIT,
  ])('stores its first part and commits what was ordered, %i', bit => {
    expect(fake.queue.commitAndFetch(0)).toBe(DEPTH)
    fake.request(0, OP_WRITE, bytes.length / 512)
    fake.setPayload(0, bytes)
    const torn = { kind: COMMAND_WRITE | bit, tag: 0, bytes: PAGE_BYTES, result: -EIO, lba: 77 }
    expect(fake.turn([torn])).toBe(1)
    expect([...fake.queue.tags.subarray(0, 1)]).toEqual([0])
    expect(fake.committed(0)).toEqual({ result: -EIO, lba: bit === 0 ? 0 : 77 })
    const back = new Uint8Array(2 * PAGE_BYTES)
    media.read(0, back)
    expect(back.subarray(0, PAGE_BYTES)).toEqual(bytes.subarray(0, PAGE_BYTES))
    expect(back.subarray(PAGE_BYTES).every(byte => byte === 0)).toBe(true)
  })

  test('that cannot be stored comes back as any other', () => {
    expect(fake.queue.commitAndFetch(0)).toBe(DEPTH)
    fake.request(0, OP_WRITE, 8)
    const torn = { kind: COMMAND_WRITE, tag: 0, bytes: PAGE_BYTES, offset: BYTES, result: -EIO }
    expect(fake.turn([torn])).toBe(1)
    expect([...fake.queue.tags.subarray(0, 1)]).toEqual([0 | TAG_FAILED])
    expect(fake.result(0)).toBe(-EINVAL)
  })
})
