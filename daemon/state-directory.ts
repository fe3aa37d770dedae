/**
 * The folder of a device in shared memory: what a daemon leaves behind for the next one.
 *
 * `device.json` is written last when a device is made and read first when one is found, so a folder without it is debris.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTicksOf } from '../devices/index.js'
import type { DeviceOptions } from './options.js'
import { devicePath, stateRoot } from './paths.js'

const FORMAT_VERSION = 1

/** What must be known to serve the device again. `startTicks` tells a living daemon from another process with its pid. */
export interface DeviceRecord {
  version: number
  id: number
  pid: number
  startTicks: number
  queueCount: number
  depth: number
  maxIoBytes: number
  /** Of the zone table: a drive from an image may have been made for more queues than this machine allows. */
  tableQueueCount: number
  tableDepth: number
  options: DeviceOptions
  /** Whether the file of its tier was made for it. */
  tierIsMade?: boolean
  /** Whether the kernel lends the pages of its requests (UBLK_F_SUPPORT_ZERO_COPY). */
  lends?: boolean
}

/** Whether the daemon that wrote this record still lives. */
export function isServed(record: DeviceRecord): boolean {
  return startTicksOf(record.pid) === record.startTicks
}

export function createStateDirectory(id: number): string {
  const path = devicePath(id)
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return path
}

export function removeStateDirectory(id: number): void {
  rmSync(devicePath(id), { recursive: true, force: true })
}

/** A record that says that this process serves the device. */
export function newRecord(
  id: number,
  options: DeviceOptions,
  queues: Pick<
    DeviceRecord,
    'queueCount' | 'depth' | 'maxIoBytes' | 'tableQueueCount' | 'tableDepth'
  >,
): DeviceRecord {
  const { pid } = process
  return { ...queues, version: FORMAT_VERSION, id, pid, startTicks: startTicksOf(pid)!, options }
}

/** Written aside and renamed, so that it is there whole or not at all. */
export function writeRecord(record: DeviceRecord): void {
  const path = join(devicePath(record.id), 'device.json')
  writeFileSync(`${path}.new`, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** The record of a device, or null when there is none that this version can read. */
export function readRecord(id: number): DeviceRecord | null {
  try {
    const record = JSON.parse(
      readFileSync(join(devicePath(id), 'device.json'), 'utf8'),
    ) as DeviceRecord
    if (record.version !== FORMAT_VERSION) return null
    // A device made before images has a table of its own size.
    return {
      ...record,
      tableQueueCount: record.tableQueueCount ?? record.queueCount,
      tableDepth: record.tableDepth ?? record.depth,
    }
  } catch {
    return null
  }
}

/** Numbers of all devices that have a folder, debris included. */
export function listStateDirectories(): number[] {
  try {
    return readdirSync(stateRoot())
      .filter(name => /^\d+$/.test(name))
      .map(Number)
      .sort((a, b) => a - b)
  } catch {
    return []
  }
}
