/**
 * What a store refuses, and how it goes on when its device fails under it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  createEmulatedDrive,
  createMemoryDrive,
  type EmulatedDrive,
  offlineZone,
  open,
  readOnlyZone,
  type Store,
  type StoreError,
  type StoreOptions,
} from '../../store/index.js'

const GEOMETRY = { zoneCount: 24, zoneSizeBytes: 256 * 1024, maxActive: 6 }
const memory = () => createMemoryDrive(GEOMETRY)
let folder: string | null = null

afterEach(() => {
  if (folder !== null) rmSync(folder, { recursive: true, force: true })
  folder = null
  vi.useRealTimers()
})

const codeOf = async (attempt: Promise<unknown>) =>
  attempt.then(
    () => 'done',
    error => `${error.code}: ${error.message}`,
  )

/** From now on a bit of the drive is another one, whoever reads it. */
function flipWhenRead(drive: EmulatedDrive, byte: number): void {
  const read = drive.read.bind(drive)
  drive.read = async (sector, target) => {
    await read(sector, target)
    const at = byte - sector * 512
    if (at >= 0 && at < target.length) target[at]! ^= 1
  }
}

describe('refusals name what is wrong and what is allowed', () => {
  test.each<[string, Partial<StoreOptions>, RegExp]>([
    [
      'durability',
      { durability: 'always' as never },
      /^STORE_ERR_OPTION: durability is always: .*'sync'/,
    ],
    [
      'eviction',
      { eviction: 'lru' as never },
      /^STORE_ERR_OPTION: eviction is lru: .*'noeviction'/,
    ],
    [
      'commitInterval',
      { commitInterval: 0 },
      /^STORE_ERR_OPTION: commitInterval is 0: .*1 to 3600000/,
    ],
    ['cacheBytes', { cacheBytes: 1.5 }, /^STORE_ERR_OPTION: cacheBytes is 1.5: .*whole number/],
    [
      'lifetimeClasses',
      { lifetimeClasses: 1 },
      /^STORE_ERR_OPTION: lifetimeClasses is 1: .*2 to 64/,
    ],
    [
      'a name that is none',
      { evicton: 'evict' } as never,
      /^STORE_ERR_OPTION: evicton is no option/,
    ],
    ['device', { device: undefined as never }, /^STORE_ERR_OPTION: device is undefined: .*a path/],
    ['device', { device: {} as never }, /^STORE_ERR_OPTION: device is something else/],
    ['format', { format: 'yes' as never }, /^STORE_ERR_OPTION: format is yes: .*true or false/],
    ['identity', { identity: Buffer.alloc(3) }, /^STORE_ERR_OPTION: identity .*16 bytes/],
    ['now', { now: 5 as never }, /^STORE_ERR_OPTION: now is 5: .*a function/],
    [
      'boundaries',
      { lifetimeBoundaries: 5 as never },
      /^STORE_ERR_OPTION: lifetimeBoundaries is 5/,
    ],
    [
      'lifetimeBoundaries',
      { lifetimeBoundaries: [5, 4] },
      /^STORE_ERR_OPTION: lifetimeBoundaries\[1\] is 4/,
    ],
  ])('%s', async (_, options, message) => {
    expect(await codeOf(open({ device: memory(), ...options }))).toMatch(message)
  })

  test('a device that lets one zone be active', async () => {
    const device = createMemoryDrive({ ...GEOMETRY, maxActive: 1, maxOpen: 1 })
    expect(await codeOf(open({ device }))).toMatch(/^STORE_ERR_DEVICE: .*a store needs two/)
    const two = await open({ device: createMemoryDrive({ ...GEOMETRY, maxActive: 2, maxOpen: 1 }) })
    for (let at = 0; at < 8000; at++) await two.set(`k${at}`, 'v', at % 2 === 0 ? { ttl: 1e6 } : {})
    await two.flush()
    await two.close()
  })

  test('keys, values and times', async () => {
    const store = await open({ device: memory() })
    expect(await codeOf(store.set('', 'v'))).toMatch(
      /^STORE_ERR_KEY: .*1 to 250 bytes long; this is 0/,
    )
    expect(await codeOf(store.get('é'.repeat(126)))).toMatch(/^STORE_ERR_KEY: .*this is 252/)
    expect(await codeOf(store.set('k', Buffer.alloc(300_000)))).toMatch(
      /^STORE_ERR_VALUE: .*this is 300000/,
    )
    expect(await codeOf(store.set('k', 'v', { ttl: 0 }))).toMatch(/^STORE_ERR_TTL: ttl is 0/)
    expect(await codeOf(store.set('k', 'v', { ttl: Number.NaN }))).toMatch(
      /^STORE_ERR_TTL: ttl is NaN/,
    )
    await store.set('k', 'v')
    expect(await codeOf(store.increment('k'))).toMatch(/^STORE_ERR_NUMBER: .*"v"/)
    expect(await codeOf(store.scan('x'))).toMatch(/^STORE_ERR_OPTION: the cursor "x"/)
    for (const count of [0, -1, 0.5, Number.NaN]) {
      expect(await codeOf(store.scan(null, count))).toMatch(/^STORE_ERR_OPTION: count is/)
    }
    await store.close()
    expect(await codeOf(store.get('k'))).toMatch(/^STORE_ERR_CLOSED/)
  })

  test('what is neither text nor bytes', async () => {
    const store = await open({ device: memory() })
    const wrong = [undefined, null, 5, {}, [1], new ArrayBuffer(4), new Uint16Array(3)]
    for (const thing of [...wrong, new DataView(new ArrayBuffer(3))] as never[]) {
      expect(await codeOf(store.set('k', thing))).toMatch(/^STORE_ERR_VALUE: .*, not (?:an? )?\w+$/)
      expect(() => store.setSync('k', thing)).toThrow(/^a value is a string/)
      expect(await codeOf(store.set(thing, 'v'))).toMatch(/^STORE_ERR_KEY: .*, not (?:an? )?\w+$/)
      expect(await codeOf(store.get(thing))).toMatch(/^STORE_ERR_KEY/)
    }
    expect(await codeOf(store.set('k', 'v', { ttl: '5' as never }))).toMatch(
      /^STORE_ERR_TTL: ttl is a string \(5\)/,
    )
    expect(await codeOf(store.scan(5 as never))).toMatch(
      /^STORE_ERR_OPTION: the cursor is a number/,
    )
    expect(store.size).toBe(0)
    // Any view of bytes will do, and a TTL as `ttl` gives it.
    await store.set(new Uint8ClampedArray([1]) as never, new Int8Array([-1]) as never)
    expect(await store.get(Buffer.of(1))).toEqual(Buffer.of(255))
    await store.set('k', 'v', { ttl: Number.POSITIVE_INFINITY })
    expect(await store.ttl('k')).toBe(Number.POSITIVE_INFINITY)
    expect(store.stats().liveBytes).toBe(4)
    await store.close()
  })

  test('somebody else’s data is not touched unless told so', async () => {
    const device = createEmulatedDrive(GEOMETRY)
    await device.append(3, new Uint8Array(4096).fill(7))
    expect(await codeOf(open({ device }))).toMatch(/^STORE_ERR_FOREIGN: zone 3 .*format: true/)
    const back = new Uint8Array(4096)
    await device.read(3 * 512, back)
    expect(back[0]).toBe(7)
    const store = await open({ device, format: true })
    await store.set('k', 'v')
    expect((await store.get('k'))?.toString()).toBe('v')
    await store.close()
  })

  test('full without eviction', async () => {
    const store = await open({ device: memory(), eviction: 'noeviction' })
    let count = 0
    const fill = async () => {
      for (;;) await store.set(`key ${count++}`, Buffer.alloc(1000))
    }
    expect(await codeOf(fill())).toMatch(/^STORE_ERR_FULL: .*open the store with eviction/)
    expect(count).toBeGreaterThan(4000)
    for (let at = 0; at < count - 1; at++) expect(await store.has(`key ${at}`)).toBe(true)
    // What was there can be deleted, and a zone with nothing in it is free again.
    for (let at = 0; at < 1000; at++) expect(await store.delete(`key ${at}`)).toBe(true)
    expect(store.stats().drops.emptied).toBeGreaterThan(2)
    await store.set('key again', Buffer.alloc(1000))
    await store.close()
  })
})

describe('a device that fails under the store', () => {
  async function filled(): Promise<{
    store: Store
    drive: ReturnType<typeof createEmulatedDrive>
  }> {
    const drive = createEmulatedDrive(GEOMETRY)
    const store = await open({ device: drive, cacheBytes: 0, now: () => 1e12 })
    for (let at = 0; at < 8000; at++)
      await store.set(`key ${at}`, `${at}`.padEnd(100), { ttl: 1e6 })
    await store.flush()
    return { store, drive }
  }

  async function lostOf(store: Store): Promise<number> {
    let lost = 0
    for (let at = 0; at < 8000; at++) {
      const value = await store.get(`key ${at}`)
      if (value === undefined) lost++
      else expect(value.toString().trim()).toBe(`${at}`)
    }
    return lost
  }

  test('an offline zone loses what was in it, and nothing else', async () => {
    const { store, drive } = await filled()
    expect(await lostOf(store)).toBe(0)
    expect(readOnlyZone(drive.table, 1)).toBe(0)
    expect(offlineZone(drive.table, 1)).toBe(0)
    const lost = await lostOf(store)
    expect(lost).toBeGreaterThan(500)
    expect(lost).toBeLessThan(2500)
    expect(store.stats().reads.damaged).toBeGreaterThan(0)
    await store.close()
  })

  test.each([
    'while the store runs',
    'before a restart',
  ])('deletes stay final when the zone of their marks turns read-only %s', async when => {
    const drive = createEmulatedDrive(GEOMETRY)
    const options = { device: drive, now: () => 1e12, cacheBytes: 0 } as const
    let store = await open(options)
    const set = async (name: string, count: number) => {
      for (let at = 0; at < count; at++) await store.set(`${name} ${at}`, Buffer.alloc(100))
    }
    // More than a zone, so that marks come into another.
    await set('k', 2500)
    await store.flush()
    for (let at = 0; at < 500; at++) expect(await store.delete(`k ${at}`)).toBe(true)
    await store.flush()
    const report = await drive.report()
    const zone = report.findIndex(({ condition }) => condition === 'implicit-open')
    expect(readOnlyZone(drive.table, zone)).toBe(0)
    if (when === 'while the store runs') {
      await set('more', 2000)
      await codeOf(store.flush())
      await store.flush()
      // Nobody can read the marks there any more.
      expect(offlineZone(drive.table, zone)).toBe(0)
    }
    // As after SIGKILL: closing would let the drive go.
    store = await open(options)
    let kept = 0
    for (let at = 0; at < 2500; at++) {
      const isThere = await store.has(`k ${at}`)
      if (at < 500) expect(isThere, `k ${at}`).toBe(false)
      if (isThere) kept++
    }
    expect(kept).toBeGreaterThan(500)
    await store.close()
  })

  test('a zone that turns read-only while it is written is given up, and the store goes on', async () => {
    const { store, drive } = await filled()
    const report = await drive.report()
    const open = report.findIndex(({ condition }) => condition === 'implicit-open')
    expect(readOnlyZone(drive.table, open)).toBe(0)
    await store.set('after', 'x')
    for (let at = 0; at < 4000; at++) await store.set(`more ${at}`, Buffer.alloc(100), { ttl: 1e6 })
    await codeOf(store.flush())
    expect(store.stats().drops.failed).toBe(1)
    expect(store.stats().objectsLost).toBeGreaterThan(0)
    await store.set('key again', 'y', { ttl: 1e6 })
    await store.flush()
    expect((await store.get('key again'))?.toString()).toBe('y')
    expect((await store.get('after'))?.toString()).toBe('x')
    await store.close()
  })
})

test.each([
  'slabs',
  'a run',
])('an object in a damaged page is not taken for one that is not there: %s', async what => {
  const drive = createEmulatedDrive(GEOMETRY)
  const options = { device: drive, now: () => 1e12, cacheBytes: 0 } as const
  // So many slabs that the first have left the stage in memory.
  const [count, bytes] = what === 'a run' ? [50, 9000] : [4000, 100]
  const store = await open(options)
  for (let at = 0; at < count; at++) await store.set(`k ${at}`, Buffer.alloc(bytes, at))
  await store.flush()
  const [zone] = store.zones()
  // In the first page behind the header of the zone.
  flipWhenRead(drive, zone!.zone * GEOMETRY.zoneSizeBytes + 4096 + 2000)
  let lost = ''
  const results = new Map<string, number>()
  for (let at = 0; at < count; at++) {
    const result = await store.get(`k ${at}`).then(
      value => (value?.equals(Buffer.alloc(bytes, at)) ? 'there' : 'lost'),
      (error: StoreError) => error.code,
    )
    if (result !== 'there') lost = `k ${at}`
    results.set(result, (results.get(result) ?? 0) + 1)
  }
  expect([...results.keys()].sort()).toEqual(['STORE_ERR_DAMAGED', 'there'])
  expect(await codeOf(store.get(lost))).toMatch(/^STORE_ERR_DAMAGED: zone \d+, page 1: /)
  for (const ask of ['has', 'ttl', 'delete', 'getEntry', 'touch', 'increment'] as const) {
    expect(await codeOf(store[ask](lost)), ask).toMatch(/^STORE_ERR_DAMAGED/)
  }
  expect(await codeOf(store.set(lost, 'x', { ifAbsent: true }))).toMatch(/^STORE_ERR_DAMAGED/)
  // Written anew it is as good as any.
  await store.set(lost, 'new')
  await store.flush()
  expect((await store.get(lost))?.toString()).toBe('new')
  expect(await store.get('nobody')).toBe(undefined)
  await store.close()
})

test('a zone whose header is damaged is lost, and no other', async () => {
  const drive = createEmulatedDrive(GEOMETRY)
  drive.dispose = async () => {}
  const options = { device: drive, now: () => 1e12, cacheBytes: 0 }
  const made = await open(options)
  for (let at = 0; at < 8000; at++) await made.set(`key ${at}`, `${at}`.padEnd(100))
  await made.close()
  // As if zone 0 had been written by somebody else.
  await drive.reset(0)
  await drive.append(0, new Uint8Array(4096).fill(9))
  const again = await open(options)
  expect(again.recovery.zonesFailed).toBe(1)
  let lost = 0
  for (let at = 0; at < 8000; at++) {
    const value = await again.get(`key ${at}`)
    if (value === undefined) lost++
    else expect(value.toString().trim()).toBe(`${at}`)
  }
  expect(lost).toBeGreaterThan(500)
  expect(lost).toBeLessThan(2500)
  await again.close()
})

test('a store in a directory is there again after it was closed', async () => {
  folder = mkdtempSync(join(tmpdir(), 'zslab-store-'))
  const device = join(folder, 'store')
  const made = await open({ device, deviceOptions: { bytes: 64 * 1024 * 1024 } })
  for (let at = 0; at < 2000; at++) await made.set(`key ${at}`, `value ${at}`)
  await made.set('large', Buffer.alloc(200_000, 5))
  expect(await codeOf(open({ device }))).toMatch(/in use|another|held|locked/i)
  await made.close()
  await using again = await open({ device })
  expect(again.recovery.objects).toBe(2001)
  for (let at = 0; at < 2000; at += 7) {
    expect((await again.get(`key ${at}`))?.toString()).toBe(`value ${at}`)
  }
  expect((await again.get('large'))?.length).toBe(200_000)
})

test('an object without a time to live stays, although it came to where long-lived ones are', async () => {
  const yearMs = 365 * 86_400_000
  let nowMs = 1_700_000_000_000
  const device = createMemoryDrive({ zoneCount: 16, zoneSizeBytes: 256 * 1024, maxActive: 8 })
  const store = await open({ device, now: () => nowMs })
  // The class of those without is lent to the longest times until the first of them comes.
  store.setSync('timed', 'x'.repeat(100), 20 * yearMs)
  store.setSync('stays', 'y'.repeat(100))
  expect(await store.ttl('timed')).toBe(20 * yearMs)
  expect(await store.ttl('stays')).toBe(Number.POSITIVE_INFINITY)
  nowMs += 21 * yearMs
  store.tick(nowMs)
  expect([store.getSync('timed'), store.getSync('stays')?.length]).toEqual([undefined, 100])
  await store.close()
})

test('a close that takes longer than the timer’s interval is not disturbed by it', async () => {
  vi.useFakeTimers()
  const device = createEmulatedDrive(GEOMETRY)
  const flush = device.flush.bind(device)
  let finish = () => {}
  const isFinished = new Promise<void>(resolve => {
    finish = resolve
  })
  device.flush = async () => {
    await isFinished
    await flush()
  }
  const store = await open({ device, commitInterval: 10 })
  store.setSync('key', 'value')
  const closing = store.close()
  // Throws what the timer throws.
  await vi.advanceTimersByTimeAsync(1000)
  finish()
  await closing
})
