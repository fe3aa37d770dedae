/**
 * A whole turn on a fake queue: real io_uring (its commands are no-ops), real planner, real media, no ublk driver.
 *
 * What a request costs the daemon apart from the kernel's ublk driver: the system call that waits, the way between C++ and
 * JavaScript, the decision, the command, the copy. `flush` moves no bytes: the bare turn.
 */
import { writeSync } from 'node:fs'
import { Planner } from '../daemon/plan.js'
import { SharedState } from '../daemon/shared-state.js'
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
  { name: 'flush (no bytes)', op: UBLK_IO_OP_FLUSH, sectors: 0 },
  { name: 'read 4 KiB', op: UBLK_IO_OP_READ, sectors: SECTORS },
  { name: 'append 4 KiB', op: UBLK_IO_OP_ZONE_APPEND, sectors: SECTORS },
]

/** A queue whose fake kernel delivers the same request in every tag, over and over. */
function open(batch: number, op: number, sectors: number) {
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
  return { queue, state, media, planner: new Planner(queue, state, geometry, media, 0, batch) }
}

/** Nanoseconds a request, median of the rounds. */
function measure(batch: number, op: number, sectors: number): number {
  const { queue, state, media, planner } = open(batch, op, sectors)
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
      const stop = Math.min(done + Math.floor(16_000 / batch), turnsARound)
      const start = performance.now()
      for (; done < stop; done++) {
        const ready = queue.commitAndFetch(turn)
        if (ready < 0) throw new Error(`commitAndFetch: ${ready}`)
        requests += ready
        turn = planner.planTurn(ready)
      }
      spent += performance.now() - start
    }
    // The first round warms up.
    if (round > 0) times.push((spent * 1e6) / requests)
  }
  queue.close()
  media.close()
  return times.sort((a, b) => a - b)[ROUNDS >> 1]!
}

process.stdout.write('whole turn on a fake queue, ns a request (median of 7 rounds)\n')
process.stdout.write(
  `${'batch'.padEnd(18)}${BATCHES.map(batch => String(batch).padStart(8)).join('')}\n`,
)
for (const { name, op, sectors } of OPERATIONS) {
  const row = BATCHES.map(batch => measure(batch, op, sectors).toFixed(0).padStart(8))
  process.stdout.write(`${name.padEnd(18)}${row.join('')}\n`)
}
