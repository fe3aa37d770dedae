/**
 * A whole turn on a fake queue: real io_uring (its commands are no-ops), real planner, real media, no ublk driver.
 *
 * What a request costs the daemon apart from the kernel's ublk driver: the system call that waits, the way between C++ and
 * JavaScript, the decision, the command, the copy. `flush` moves no bytes: the bare turn. `recorded`: for `zslab trace record`,
 * with a reader that takes no time.
 *
 * CPU time of the process: what else the machine does costs it less than it costs a clock on the wall.
 */
import { writeSync } from 'node:fs'
import { Planner } from '../daemon/plan.js'
import { SharedState } from '../daemon/shared-state.js'
import { TraceRing, traceBytes } from '../daemon/trace-ring.js'
import { createMemfd, openMedia, openQueue } from '../ublk-native/index.js'
import {
  Geometry,
  resetZone,
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_READ,
  UBLK_IO_OP_ZONE_APPEND,
} from '../zone-model/index.js'

const BATCHES = [1, 4, 16, 64]
const ROUNDS = 7
const REQUESTS_A_ROUND = 400_000
const SECTORS = 8
const MAX_IO_BYTES = 1 << 20

const geometry = Geometry.create({ zoneCount: 8, zoneSizeBytes: 64 << 20 })

const OPERATIONS = [
  { name: 'flush (no bytes)', op: UBLK_IO_OP_FLUSH, sectors: 0, isRecorded: false },
  { name: 'flush, recorded', op: UBLK_IO_OP_FLUSH, sectors: 0, isRecorded: true },
  { name: 'read 4 KiB', op: UBLK_IO_OP_READ, sectors: SECTORS, isRecorded: false },
  { name: 'append 4 KiB', op: UBLK_IO_OP_ZONE_APPEND, sectors: SECTORS, isRecorded: false },
]
/** Where the first ring's words are in the file of a recording, and in them the head and the reader's tail (trace-ring.ts). */
const RING_AT = 64
const HEAD = 0
const TAIL = 16

/** A queue whose fake kernel delivers the same request in every tag, over and over. */
function open(batch: number, { op, sectors, isRecorded }: (typeof OPERATIONS)[number]) {
  const buffer = new SharedArrayBuffer(SharedState.bytesNeeded(geometry, 1, batch))
  SharedState.format(buffer, geometry, 1, batch)
  const state = new SharedState(buffer, geometry, 1, batch)
  const media = openMedia({
    directory: null,
    bytes: geometry.totalBytes,
    regionBytes: geometry.zoneSizeBytes,
    spareBytes: 64 << 20,
    sameFill: true,
    create: true,
  })
  const random = new Uint8Array(MAX_IO_BYTES).map((_, i) => (i * 2654435761) >>> 24)
  media.write(0, random)
  const descriptorsFd = createMemfd('descriptors')
  const charFd = createMemfd('requests')
  const descriptor = new Uint32Array([op, sectors, 0, 0, 0, 0])
  for (let tag = 0; tag < batch; tag++) {
    writeSync(descriptorsFd, descriptor, 0, 24, tag * 24)
    writeSync(charFd, random, 0, 4096, tag * 2 ** 25)
  }
  const queue = openQueue({
    charFd,
    queueId: 0,
    depth: batch,
    maxIoBytes: MAX_IO_BYTES,
    media,
    marks: new Int32Array(buffer),
    markByteOffsets: [state.table.markByteOffset(0, 0), state.table.markByteOffset(0, 1)],
    fake: { descriptorsFd, userCopyBase: 0 },
  })
  const trace = new SharedArrayBuffer(traceBytes(1))
  const ring = new Int32Array(trace, RING_AT)
  const rings = { open: () => new TraceRing(trace, 0), close: () => {} }
  if (isRecorded) state.recording = 1
  const planner = new Planner(queue, state, geometry, media, 0, batch, {}, rings)
  return { queue, state, media, planner, ring }
}

/** Nanoseconds a request, median of the rounds. */
function measure(batch: number, operation: (typeof OPERATIONS)[number]): number {
  const { queue, state, media, planner, ring } = open(batch, operation)
  const turnsARound = Math.ceil(REQUESTS_A_ROUND / batch)
  const empty = (zone: number) =>
    media.recycle(zone * geometry.zoneSizeBytes, geometry.zoneSizeBytes)
  const times: number[] = []
  let turn = 0
  for (let round = 0; round <= ROUNDS; round++) {
    let requests = 0
    let spent = 0
    for (let done = 0; done < turnsARound; ) {
      // The zone that takes the appends is made empty outside of the time.
      resetZone(state.table, 0, empty)
      ring[TAIL] = ring[HEAD]!
      const stop = Math.min(done + Math.floor(16_000 / batch), turnsARound)
      const start = process.cpuUsage()
      for (; done < stop; done++) {
        const ready = queue.commitAndFetch(turn)
        if (ready < 0) throw new Error(`commitAndFetch: ${ready}`)
        requests += ready
        turn = planner.planTurn(ready)
      }
      const { user, system } = process.cpuUsage(start)
      spent += user + system
    }
    // The first round warms up.
    if (round > 0) times.push((spent * 1e3) / requests)
  }
  if (operation.isRecorded !== ring[HEAD]! > 0) throw new Error('recorded: not as asked')
  queue.close()
  media.close()
  return times.sort((a, b) => a - b)[ROUNDS >> 1]!
}

process.stdout.write('whole turn on a fake queue, ns of CPU a request (median of 7 rounds)\n')
process.stdout.write(
  `${'batch'.padEnd(18)}${BATCHES.map(batch => String(batch).padStart(8)).join('')}\n`,
)
for (const operation of OPERATIONS) {
  const row = BATCHES.map(batch => measure(batch, operation).toFixed(0).padStart(8))
  process.stdout.write(`${operation.name.padEnd(18)}${row.join('')}\n`)
}
