/** Devices over their life, on a kernel that is not there: what is left when something fails, and what is said. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Device, type DeviceHost } from '../../daemon/device.js'
import { geometryOptions } from '../../daemon/device-params.js'
import { resolveOptions } from '../../daemon/options.js'
import type { SpawnQueue } from '../../daemon/queue-pool.js'
import { Registry } from '../../daemon/registry.js'
import { SharedState } from '../../daemon/shared-state.js'
import { UblkControl } from '../../ublk-native/index.js'
import { finishZone, Geometry, openZone } from '../../zone-model/index.js'
import { FakeThread, kernel, obedient } from './fake-ublk.js'

vi.mock('../../ublk-native/index.js', async () => (await import('./fake-ublk.js')).fakeNative)

const OPTIONS = resolveOptions({ id: 0, zones: 16, zoneSize: '1M', queues: 2, conventional: 2 })

let state: string
let spawnQueue: SpawnQueue
let registry: Registry
let host: DeviceHost

beforeEach(() => {
  kernel.reset()
  state = mkdtempSync(join(tmpdir(), 'zslab-registry-'))
  vi.stubEnv('ZSLAB_STATE', state)
  spawnQueue = obedient
  const rest = {
    onFlushFailure: () => {},
    onWorkerDeath: (error: unknown) => {
      throw error
    },
    delay: () => Promise.resolve(),
    spawnQueue: (task: Parameters<SpawnQueue>[0]) => spawnQueue(task),
  }
  host = { control: new UblkControl(), ...rest }
  registry = new Registry(pino({ level: 'silent' }), rest)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(state, { recursive: true })
})

const recordPath = (id: number) => join(state, String(id), 'device.json')
const record = (id: number) => JSON.parse(readFileSync(recordPath(id), 'utf8'))

/** The second of two queues cannot begin; the first does, and then waits for requests. */
const halfBroken: SpawnQueue = task => {
  if (task.queueId === 0) return obedient(task)
  const thread = new FakeThread(task)
  setImmediate(() => thread.fail(new Error('no memory for a ring')))
  return thread
}

/** A device whose daemon was killed. */
async function orphan(): Promise<void> {
  await Device.create(OPTIONS, host)
  kernel.quiesce(0)
  writeFileSync(recordPath(0), JSON.stringify({ ...record(0), pid: 4_194_303 }))
  kernel.calls = []
}

describe('create', () => {
  it('ends the queue that runs before it closes what that one uses, when another cannot begin', async () => {
    spawnQueue = halfBroken
    await expect(Device.create(OPTIONS, host)).rejects.toThrow('no memory for a ring')
    expect(kernel.calls).toEqual(['setParams', 'queue 0 ends', 'close char device', 'delete'])
    expect(kernel.registeredKicks.size).toBe(0)
    expect(readdirSync(state)).toEqual([])
  })
})

describe('recover', () => {
  it('takes the device over', async () => {
    await orphan()
    expect(await registry.recover(0)).toMatchObject({ state: 'live', pid: process.pid })
    expect(record(0).pid).toBe(process.pid)
  })

  it('that failed can be tried again', async () => {
    await orphan()
    kernel.failing.set('endRecovery', new Error('interrupted'))
    await expect(registry.recover(0)).rejects.toThrow('interrupted')
    expect(record(0).pid).not.toBe(process.pid)
    expect(await registry.show(0)).toMatchObject({ state: 'orphan' })
    expect(await registry.recover(0)).toMatchObject({ state: 'live' })
  })

  it('that failed because a queue could not begin leaves a device that can be deleted', async () => {
    await orphan()
    spawnQueue = halfBroken
    await expect(registry.recover(0)).rejects.toThrow('no memory for a ring')
    expect(await registry.delete(0, false)).toEqual({ id: 0, deleted: true, image: null })
    expect(readdirSync(state)).toEqual([])
    expect(kernel.devices.size).toBe(0)
  })
})

describe('list', () => {
  it.each([
    ['without options', { options: undefined }],
    ['with a geometry that is none', { options: { ...OPTIONS, zoneSize: 12 } }],
  ])('shows a record %s as dead, and the others as they are', async (_, harm) => {
    await orphan()
    await Device.create({ ...OPTIONS, id: 1 }, host)
    writeFileSync(recordPath(0), JSON.stringify({ ...record(0), ...harm }))
    const listed = await registry.list()
    expect(listed.map(({ id, state }) => [id, state])).toEqual([
      [0, 'dead'],
      [1, 'live'],
    ])
    await registry.delete(0, false)
    expect(readdirSync(state)).toEqual(['1'])
  })
})

describe('zones', () => {
  /** A device of 16 zones: two conventional, every third of the others full, zone 3 open. */
  async function serve(): Promise<void> {
    await orphan()
    await registry.recover(0)
    const buffer = kernel.mappings.get(join(state, '0', 'table'))!
    const geometry = Geometry.create(geometryOptions(OPTIONS))
    const { table } = new SharedState(buffer, geometry, OPTIONS.queues, OPTIONS.depth)
    for (let zone = 4; zone < 16; zone += 3) finishZone(table, zone)
    openZone(table, 3)
  }

  it('a report counts zones that match, not those that were looked at', async () => {
    await serve()
    const numbers = (range: Parameters<Registry['report']>[1]) =>
      registry.report(0, range).zones.map(({ zone }) => zone)
    expect(numbers({ condition: 'full', count: 3 })).toEqual([4, 7, 10])
    expect(numbers({ condition: 'full', first: 5, count: 2 })).toEqual([7, 10])
    expect(numbers({ first: 14, count: 5 })).toEqual([14, 15])
    expect(registry.report(0, { condition: 'full', count: 1 })).toMatchObject({
      openZones: 1,
      activeZones: 1,
    })
  })

  it('stats have every condition, those of no zone too', async () => {
    await serve()
    expect(registry.stats(0).zones).toEqual({
      conventional: 2,
      empty: 9,
      'implicit-open': 0,
      'explicit-open': 1,
      closed: 0,
      full: 4,
      'read-only': 0,
      offline: 0,
    })
  })

  it('offline changes nothing when one of the zones cannot, and says which can', async () => {
    await serve()
    const before = registry.report(0, {}).zones
    expect(() => registry.offline(0, 1, 4)).toThrow(/zone 1 .*conventional.*zones 2 to 15/)
    expect(registry.report(0, {}).zones).toEqual(before)
    expect(registry.offline(0, 2, 2)).toEqual({ changed: 2 })
    expect(registry.report(0, { condition: 'offline' }).zones.map(({ zone }) => zone)).toEqual([
      2, 3,
    ])
  })

  it('a power cut of a drive in memory: another disk under the same number, with the same folder', async () => {
    await serve()
    const marks = new Int32Array(kernel.mappings.get(join(state, '0', 'flushed'))!)
    marks.fill(2048, 0, 10)
    kernel.calls = []
    const cut = await registry.powerCut(0, 3)
    expect(cut).toMatchObject({ id: 0, state: 'live', user: null, seed: 3 })
    const ended = ['queue 0 ends', 'queue 1 ends']
    expect(kernel.calls.filter(call => !ended.includes(call))).toEqual([
      ...['stop', 'close char device', 'delete', 'setParams', 'start'],
    ])
    const { zones, openZones } = registry.report(0, {})
    expect(openZones).toBe(0)
    // Flushed: 4 and 7. Not flushed: 10 and 13, of which the seed takes some.
    const full = (zone: number) => zones[zone]!.condition === 'full'
    expect([full(4), full(7)]).toEqual([true, true])
    expect([10, 13].filter(zone => !full(zone))).toHaveLength(cut.lost!.zones)
    expect(cut.lost!.zones).toBeGreaterThan(0)
    expect(zones[3]!.condition).toBe('empty')
    expect(await registry.show(0)).toMatchObject({ state: 'live', pid: process.pid })
    expect(await registry.delete(0, false)).toMatchObject({ deleted: true })
    expect(readdirSync(state)).toEqual([])
  })

  it('a power cut without a seed says which one it took', async () => {
    await serve()
    const { seed } = await registry.powerCut(0)
    expect(Number.isInteger(seed)).toBe(true)
  })
})
