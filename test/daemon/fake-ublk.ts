/**
 * ublk-native without a kernel, for the life of a device: mappings are memory by path, the control device keeps what it was told,
 * and a queue's thread is an object that the test drives.
 */
import { EventEmitter } from 'node:events'
import { vi } from 'vitest'
import type { QueueThread, SpawnQueue } from '../../daemon/queue-pool.js'
import type { WorkerTask } from '../../daemon/queue-worker.js'
import type * as Native from '../../ublk-native/index.js'
import type { AddDeviceOptions, DeviceInfo, MediaOptions } from '../../ublk-native/index.js'

/** The real one: who asks for it by name is given `fakeNative`, which is made here. */
const native = await vi.importActual<typeof Native>('../../ublk-native/index.js')

const QUIESCED = native.UBLK_S_DEV_QUIESCED
export const CHAR_FD = 1_000_001

/** The kernel's devices, one for all that a test file makes. */
class FakeKernel {
  devices = new Map<number, DeviceInfo>()
  mappings = new Map<string, ArrayBuffer>()
  /** What was done, in order. */
  calls: string[] = []
  registeredKicks = new Set<number>()
  threads: FakeThread[] = []
  /** Fails the next call of that name. */
  failing = new Map<string, Error>()

  reset(): void {
    this.devices.clear()
    this.mappings.clear()
    this.calls = []
    this.registeredKicks.clear()
    this.threads = []
    this.failing.clear()
  }

  call(name: string): void {
    this.calls.push(name)
    const failure = this.failing.get(name)
    this.failing.delete(name)
    if (failure !== undefined) throw failure
  }

  /** As if the daemon had been killed: the device waits for another. */
  quiesce(id: number): void {
    this.devices.set(id, { ...this.devices.get(id)!, state: QUIESCED, pid: -1 })
  }
}

export const kernel = new FakeKernel()

export class FakeThread extends EventEmitter implements QueueThread {
  kicks = 0
  readonly kickFd: number

  constructor(readonly task: WorkerTask) {
    super()
    this.kickFd = 2_000_000 + task.queueId
    kernel.threads.push(this)
  }

  serve(): void {
    this.emit('message', { ready: true, kickFd: this.kickFd })
  }

  end(): void {
    kernel.call(`queue ${this.task.queueId} ends`)
    this.emit('message', { done: 0 })
    this.emit('exit', 0)
  }

  /** As Node does for an uncaught error. */
  fail(error: Error): void {
    this.emit('error', error)
    this.emit('exit', 1)
  }
}

/** Threads that serve at once, and end when they are kicked. */
export const obedient: SpawnQueue = task => {
  const thread = new FakeThread(task)
  setImmediate(() => thread.serve())
  return thread
}

class FakeControl {
  features = () => Promise.resolve(native.UBLK_F_ZONED | native.UBLK_F_USER_COPY)

  async addDevice(options: AddDeviceOptions): Promise<DeviceInfo> {
    const { queueCount, depth, maxIoBytes, flags } = options
    const id = options.id < 0 ? kernel.devices.size : options.id
    const device = { id, queueCount, depth, maxIoBytes, flags, state: 1, pid: process.pid }
    kernel.devices.set(id, device)
    return device
  }

  info = async (id: number) => kernel.devices.get(id) ?? null
  setParams = async () => kernel.call('setParams')
  start = async () => kernel.call('start')
  startRecovery = async () => kernel.call('startRecovery')
  endRecovery = async () => kernel.call('endRecovery')

  async stop(): Promise<void> {
    kernel.call('stop')
  }

  async delete(id: number): Promise<void> {
    kernel.call('delete')
    kernel.devices.delete(id)
  }
}

/** What `vi.mock` gives instead of ublk-native. */
export const fakeNative = {
  ...native,
  UblkControl: FakeControl,
  refusedKernel: () => null,
  openCharDevice: async () => CHAR_FD,
  closeFd: () => kernel.call('close char device'),
  mapShared(path: string, bytes: number, create: boolean): ArrayBuffer {
    const found = create ? undefined : kernel.mappings.get(path)
    const buffer = found ?? new ArrayBuffer(bytes)
    kernel.mappings.set(path, buffer)
    return buffer
  },
  unmapShared: () => {},
  openMedia: (options: MediaOptions) => ({
    close: () => {},
    discard: () => 0,
    recycle: () => 0,
    stats: () => {
      const none = {
        rawPages: 0,
        fillPages: 0,
        compressedPages: 0,
        compressedBytes: 0,
        memoryBytes: 0,
        slot: 0,
        tier: { pages: 0, bytes: 0, readPages: 0, writtenPages: 0 },
      }
      const regionCount = options.bytes / (options.regionBytes ?? options.bytes)
      return { ...none, spareBytes: 0, regions: new Array(regionCount).fill(none) }
    },
  }),
  registerKick: (fd: number) => kernel.registeredKicks.add(fd),
  unregisterKick: (fd: number) => kernel.registeredKicks.delete(fd),
  kick(fd: number): void {
    const thread = kernel.threads.findLast(candidate => candidate.kickFd === fd)
    if (thread === undefined) throw new Error(`nobody has kick ${fd}`)
    thread.kicks++
    setImmediate(() => thread.end())
  },
}
