/** Wrong types are a TypeError from every native function and for every argument, and never reach memory. */
import { describe, expect, test } from 'vitest'
import { addon, type NativeMediaHandle } from '../../ublk-native/addon.js'
import { mapShared, openMedia, unmapShared } from '../../ublk-native/index.js'
import { FakeQueue } from './fake-queue.js'

const BYTES = 1 << 20
const WRONG: readonly unknown[] = [
  undefined,
  null,
  true,
  -7,
  1.5,
  Number.NaN,
  2 ** 60,
  'text',
  {},
  [],
  new Uint8Array(8),
  new Float64Array(8),
  new Int32Array(8),
  Symbol('s'),
  10n,
  () => 0,
]

type Kind = 'integer' | 'string' | 'string?' | 'boolean' | 'bytes' | 'bytes?' | 'words' | 'media'

function accepts(kind: Kind, value: unknown): boolean {
  switch (kind) {
    case 'integer':
      return Number.isSafeInteger(value) && (value as number) >= 0
    case 'string':
      return typeof value === 'string'
    case 'string?':
      return typeof value === 'string' || value === null
    case 'boolean':
      return typeof value === 'boolean'
    case 'bytes':
      return value instanceof Uint8Array
    case 'bytes?':
      return value instanceof Uint8Array || value === null
    case 'words':
      return value instanceof Int32Array
    case 'media':
      return false
  }
}

const media = openMedia({ directory: null, bytes: BYTES, sameFill: true, create: true })
const handle = (media as unknown as NativeMediaHandle).handle
const native = addon() as unknown as Record<string, (...args: unknown[]) => unknown>

/** Every function with arguments that it takes. None of these calls is made as it stands. */
const CALLS: readonly (readonly [string, readonly unknown[], readonly Kind[]])[] = [
  ['control', [0, 0, 0, 0, null], ['integer', 'integer', 'integer', 'integer', 'bytes?']],
  ['openMedia', [null, BYTES, true, true], ['string?', 'integer', 'boolean', 'boolean']],
  [
    'openQueue',
    [0, 0, 8, 4096, handle, new Int32Array(8), 0, 8, 0, 0, false],
    [
      'integer',
      'integer',
      'integer',
      'integer',
      'media',
      'words',
      'integer',
      'integer',
      'integer',
      'integer',
    ],
  ],
  ['mapShared', ['/nowhere/x', 4096, false], ['string', 'integer', 'boolean']],
  ['createMemfd', ['x'], ['string']],
  ['kick', [1 << 20, false], ['integer', 'boolean']],
  ['fillScan', [new Uint8Array(8), 'best'], ['bytes', 'string']],
  ['fillBuffer', [new Uint8Array(8), 1, 1, 'best'], ['bytes', 'integer', 'integer', 'string']],
  [
    'benchNs',
    ['scan', new Uint8Array(4096), new Uint8Array(4096), 4096, 1, 0],
    ['string', 'bytes', 'bytes', 'integer', 'integer', 'integer'],
  ],
  [
    'benchMedia',
    [handle, new Uint8Array(4096), new Uint8Array(4096), 0, false],
    ['media', 'bytes', 'bytes', 'integer', 'boolean'],
  ],
  [
    'benchPages',
    ['pack', new Uint8Array(4096), new Uint8Array(8192), 1, 1],
    ['string', 'bytes', 'bytes', 'integer', 'integer'],
  ],
  ['scheduleAsBatch', [true], ['boolean']],
  ['zoneIoctl', ['/nowhere', 'open', 0, 0], ['string', 'string', 'integer', 'integer']],
  ['reportZones', ['/nowhere', 0, 0, null], ['string', 'integer', 'integer', 'bytes?']],
]

describe.each(CALLS)('%s', (name, args, kinds) => {
  test.each(
    kinds.map((kind, index) => [index, kind] as const),
  )('argument %i: %s', (index, kind) => {
    for (const value of WRONG.filter(candidate => !accepts(kind, candidate))) {
      const call = () => native[name]!(...args.map((arg, i) => (i === index ? value : arg)))
      expect(call, String(value)).toThrow(TypeError)
    }
    expect(() => native[name]!(...args.slice(0, index))).toThrow(TypeError)
  })
})

describe('media', () => {
  test.each(['read', 'write'] as const)('%s', name => {
    const call = media[name] as (...args: unknown[]) => unknown
    for (const value of WRONG.filter(candidate => !accepts('integer', candidate)))
      expect(() => call(value, new Uint8Array(8)), String(value)).toThrow(TypeError)
    for (const value of WRONG.filter(candidate => !accepts('bytes', candidate)))
      expect(() => call(0, value), String(value)).toThrow(TypeError)
  })

  test('discard', () => {
    const call = media.discard as (...args: unknown[]) => unknown
    for (const value of WRONG.filter(candidate => !accepts('integer', candidate))) {
      expect(() => call(value, 8), String(value)).toThrow(TypeError)
      expect(() => call(0, value), String(value)).toThrow(TypeError)
    }
  })
})

describe('queue', () => {
  test('hot functions take numbers only, and numbers of any kind are safe', () => {
    const fake = new FakeQueue(media, 4)
    const queue = fake.queue as unknown as Record<string, (...args: unknown[]) => number>
    expect(queue['commitAndFetch']!(0)).toBe(4)
    for (const value of WRONG.filter(candidate => typeof candidate !== 'number')) {
      expect(() => queue['commitAndFetch']!(value), String(value)).toThrow(TypeError)
      expect(() => queue['supply']!(value, 64), String(value)).toThrow(TypeError)
      expect(() => queue['supply']!(0, value), String(value)).toThrow(TypeError)
    }
    expect(() => queue['commitAndFetch']!()).toThrow(TypeError)
    for (const value of [-1, 2 ** 31, 2 ** 32 - 1])
      expect(fake.queue.commitAndFetch(value)).toBe(-14)
    for (const value of [-1, 4, 2 ** 31]) expect(fake.queue.supply(value, 64)).toBe(-22)
    fake.close()
  })

  test('marks must be inside their array, buffers in whole pages', () => {
    const open = (...changed: readonly (readonly [number, unknown])[]) => {
      const args: unknown[] = [0, 0, 8, 4096, handle, new Int32Array(8), 0, 8, 0, 0, false]
      for (const [index, value] of changed) args[index] = value
      return () => native['openQueue']!(...args)
    }
    for (const offset of [4, 28, 32, 1 << 30]) {
      expect(open([6, offset])).toThrow(/mark offsets/)
      expect(open([7, offset])).toThrow(/mark offsets/)
    }
    expect(open([3, 4097])).toThrow(/multiple of 4096/)
    for (const depth of [0, 4097]) expect(open([2, depth])).toThrow(TypeError)
    const closed = openMedia({ directory: null, bytes: BYTES, sameFill: true, create: true })
    const closedHandle = (closed as unknown as NativeMediaHandle).handle
    closed.close()
    expect(open([4, closedHandle])).toThrow(/open one/)
  })
})

test('unmapShared refuses what mapShared did not make, and a second time', () => {
  for (const value of WRONG) expect(() => native['unmapShared']!(value)).toThrow(TypeError)
  expect(() => unmapShared(new ArrayBuffer(64))).toThrow(/EINVAL/)
  const fd = addon().createMemfd('unmap')
  const path = `/proc/self/fd/${fd}`
  const buffer = mapShared(path, 8192, true)
  const again = mapShared(path, 8192, false)
  new Uint32Array(buffer)[5] = 77
  expect(new Uint32Array(again)[5]).toBe(77)
  expect(() => mapShared(path, 4096, false)).toThrow(/another size/)
  unmapShared(buffer)
  expect(buffer.byteLength).toBe(0)
  expect(() => unmapShared(buffer)).toThrow(/EINVAL/)
  expect(new Uint32Array(again)[5]).toBe(77)
  unmapShared(again)
})
