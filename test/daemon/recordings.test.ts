/**
 * Recordings without a kernel: queues that are objects of the test, which take part when they are kicked. One recording a device;
 * it ends with its client, with its device, and leaves nothing.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Device } from '../../daemon/device.js'
import { SharedState } from '../../daemon/shared-state.js'
import { decodeEntries } from '../../daemon/trace-entries.js'
import { TraceRing } from '../../daemon/trace-ring.js'
import { admitWrite, Geometry, UBLK_IO_OP_WRITE } from '../../zone-model/index.js'
import { kernel } from './fake-ublk.js'

vi.mock('../../ublk-native/index.js', async () => (await import('./fake-ublk.js')).fakeNative)
const { Recordings } = await import('../../daemon/recordings.js')

const QUEUES = 2
const geometry = Geometry.create({ zoneCount: 4, zoneSizeBytes: 65536 })
const stateRoot = mkdtempSync(join(tmpdir(), 'zslab-recordings-'))
const file = join(stateRoot, '3', 'trace')

/** A device whose queues do what workers do, at once or never. */
class FakeDevice {
  readonly id = 3
  readonly geometry = geometry
  readonly state: SharedState
  readonly record = {
    ...{ id: 3, version: 1, pid: 1, startTicks: 1, queueCount: QUEUES, depth: 8, maxIoBytes: 4096 },
    options: { recovery: true, sameFill: true, profile: 'default' },
  }
  kicks = 0
  isDeaf = false
  nowUs = 0
  rings: TraceRing[] = []

  constructor() {
    const buffer = new SharedArrayBuffer(SharedState.bytesNeeded(geometry, QUEUES, 8))
    SharedState.format(buffer, geometry, QUEUES, 8)
    this.state = new SharedState(buffer, geometry, QUEUES, 8)
  }

  kick(): void {
    this.kicks++
    if (this.isDeaf) return
    const { recording } = this.state
    if (recording !== 0) {
      // What main makes last is what workers map.
      const buffer = kernel.mappings.get(file)!
      writeFileSync(file, '')
      this.rings = [0, 1].map(queue => new TraceRing(buffer, queue))
    }
    for (const ring of this.rings) ring.take(recording)
  }

  write(queue: number, sector: number): void {
    this.rings[queue]!.push(UBLK_IO_OP_WRITE, 8, sector, 0, 4096, 0, 1e12, 5)
    this.rings[queue]!.publish()
  }
}

let device: FakeDevice
let recordings: InstanceType<typeof Recordings>
let owner: AbortController
let waits: number

beforeEach(() => {
  kernel.reset()
  process.env['ZSLAB_STATE'] = stateRoot
  mkdirSync(join(stateRoot, '3'), { recursive: true })
  device = new FakeDevice()
  owner = new AbortController()
  waits = 0
  recordings = new Recordings(
    () => device as unknown as Device,
    () => {
      waits++
      return Promise.resolve()
    },
  )
})
afterEach(() => {
  rmSync(join(stateRoot, '3'), { recursive: true, force: true })
})

const sectors = (entries: string[]) =>
  entries.map(text => decodeEntries(text).map(({ startSector }) => startSector))

it('gives the zones as they are when it begins and ends, and every request between', async () => {
  const { table } = device.state
  expect(admitWrite(table, 0, UBLK_IO_OP_WRITE, 1, 0, 8)).toBe(0)
  const start = await recordings.start(3, owner.signal)
  expect(start).toMatchObject({ isBusy: false, device: { id: 3, zones: 4, queues: 2 } })
  const empty = { condition: 'empty', wp: 0 }
  const open = { condition: 'implicit-open', wp: 8 }
  expect(start.zones).toEqual([
    { count: 1, ...empty },
    { count: 1, ...open },
    { count: 2, ...empty },
  ])
  device.write(0, 1)
  device.write(1, 2)
  device.write(1, 3)
  expect(sectors(recordings.read(3, owner.signal).entries)).toEqual([[1], [2, 3]])
  device.write(0, 4)
  expect(admitWrite(table, 0, UBLK_IO_OP_WRITE, 2, 0, 8)).toBe(0)
  const end = await recordings.stop(3, owner.signal)
  expect(sectors(end.entries)).toEqual([[4], []])
  expect(end.completeUs).toBeNull()
  expect(end.zones).toEqual([
    { count: 1, ...empty },
    { count: 2, ...open },
    { count: 1, ...empty },
  ])
  expect(device.state.recording).toBe(0)
  expect(existsSync(file)).toBe(false)
})

it('a queue that has not moved is kicked, one that moves is not', async () => {
  await recordings.start(3, owner.signal)
  recordings.read(3, owner.signal)
  const before = device.kicks
  for (const ring of device.rings) ring.beginTurn(1e12)
  recordings.read(3, owner.signal)
  expect(device.kicks).toBe(before)
  device.rings[0]!.beginTurn(2e12)
  recordings.read(3, owner.signal)
  expect(device.kicks).toBe(before + 1)
})

it('a second recorder is refused, and the first goes on', async () => {
  await recordings.start(3, owner.signal)
  await expect(recordings.start(3, new AbortController().signal)).rejects.toMatchObject({
    code: 'DAEMON_ERR_TRACE',
    message: 'device 3 is being recorded already: end that recording first',
  })
  const other = new AbortController().signal
  expect(() => recordings.read(3, other)).toThrow('no recording of device 3 for this client')
  await expect(recordings.stop(3, other)).rejects.toMatchObject({ code: 'DAEMON_ERR_TRACE' })
  device.write(0, 7)
  expect(sectors(recordings.read(3, owner.signal).entries)).toEqual([[7], []])
})

it('ends with its client, and another may begin', async () => {
  await recordings.start(3, owner.signal)
  expect(existsSync(file)).toBe(true)
  owner.abort()
  expect([device.state.recording, existsSync(file)]).toEqual([0, false])
  const next = new AbortController()
  await recordings.start(3, next.signal)
  expect(device.state.recording).toBe(2)
  // The first one's end is not that of the second.
  owner.abort()
  expect(device.state.recording).toBe(2)
})

it('a client that is gone before it began leaves nothing', async () => {
  owner.abort()
  await recordings.start(3, owner.signal)
  expect([device.state.recording, existsSync(file)]).toEqual([0, false])
})

it('ends before its device goes, also while it begins', async () => {
  await recordings.start(3, owner.signal)
  await recordings.end(3)
  expect(device.state.recording).toBe(0)
  expect(() => recordings.read(3, owner.signal)).toThrow('the device went away meanwhile')
  const starting = recordings.start(3, owner.signal)
  await recordings.end(3)
  await starting
  expect([device.state.recording, existsSync(file)]).toEqual([0, false])
})

it('queues that do not answer are an error that leaves nothing', async () => {
  device.isDeaf = true
  await expect(recordings.start(3, owner.signal)).rejects.toMatchObject({
    code: 'DAEMON_ERR_TRACE',
    message: expect.stringMatching(/^the queues of device 3 do not answer/),
  })
  expect(waits).toBeGreaterThan(100)
  expect([device.state.recording, existsSync(file)]).toEqual([0, false])
  device.isDeaf = false
  await recordings.start(3, owner.signal)
})

it('says when requests came while it began', async () => {
  const kick = device.kick.bind(device)
  device.kick = () => {
    kick()
    if (device.state.recording !== 0) device.write(0, 1)
  }
  expect((await recordings.start(3, owner.signal)).isBusy).toBe(true)
})
