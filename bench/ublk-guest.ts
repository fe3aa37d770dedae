/**
 * Inside the VM: the same fio jobs on several devices of one size, cell by cell, one after the other.
 *
 * Prints one JSON object. Devices take turns within a round, so that what drifts (a busy host) falls on all of them.
 * Its argument is a GuestTask as JSON.
 */
import { execFileSync } from 'node:child_process'
import { request } from '../daemon/client.js'
import { type BenchDevice, KINDS } from './guest-devices.js'
import { CELLS, fill, runCell } from './guest-fio.js'

const ZONES = 16
const ZONE_MIB = 8
const BYTES = ZONES * ZONE_MIB * 1024 * 1024

export interface GuestTask {
  rounds: number
  seconds: number
  queues: number
  /** Cells whose name has it. */
  cells: string
  /** Names of KINDS and of DATA. */
  devices: readonly string[]
  data: readonly string[]
}

/** What the guest prints: of each round, by keyOf. */
export interface GuestResult {
  kernel: string
  queues: number
  /** I/O per second. */
  iops: Record<string, number[]>
  /** Of our devices: requests a turn of their workers. */
  batches: Record<string, number[]>
}

export const keyOf = (cell: string, data: string, device: string): string =>
  `${cell} | ${data} | ${device}`

async function main(task: GuestTask): Promise<void> {
  const devices: Record<string, BenchDevice> = {}
  for (const kind of task.devices) {
    devices[kind] = await KINDS[kind]!({ zones: ZONES, zoneMiB: ZONE_MIB, queues: task.queues })
  }
  const cells = CELLS.filter(cell => cell.name.includes(task.cells))
  const result: GuestResult = { kernel: '', queues: task.queues, iops: {}, batches: {} }
  const note = (of: Record<string, number[]>, key: string, value: number) => {
    of[key] ??= []
    of[key].push(value)
  }
  for (const data of task.data) {
    for (const device of Object.values(devices)) fill(device, data, BYTES)
    for (const cell of cells) {
      for (let round = 0; round < task.rounds; round++) {
        for (const [kind, device] of Object.entries(devices)) {
          const key = keyOf(cell.name, data, kind)
          const before = await device.counters?.()
          const end = await device.during?.()
          const iops = runCell(device, cell, data, BYTES, task.seconds)
          await end?.()
          const after = await device.counters?.()
          note(result.iops, key, iops)
          process.stderr.write(`${key}: ${Math.round(iops)}\n`)
          if (before === undefined || after === undefined) continue
          const turns = after.turns - before.turns
          note(result.batches, key, (after.requests - before.requests) / turns)
        }
      }
    }
  }
  for (const device of Object.values(devices)) await device.remove()
  await request('shutdown', {}).catch(() => {})
  result.kernel = execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim()
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

if (process.argv[1] === new URL(import.meta.url).pathname)
  await main(JSON.parse(process.argv[2]!) as GuestTask)
