/**
 * Commands to the ublk driver by way of /dev/ublk-control.
 *
 * Each runs on libuv's pool with a small ring of its own, so none blocks the thread that asks: START_DEV returns only after
 * the queues have answered a zone report, DEL_DEV only after the last user is gone.
 *
 * Every method rejects with UblkError: EACCES or EPERM (no rights), ENOENT on `open` (no driver), ENODEV (no such device),
 * EEXIST, EBUSY, EINVAL (the kernel's own checks: it does not say which).
 */
import { writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import { addon } from './addon.js'
import { UblkError } from './errors.js'
import {
  DEV_INFO_BYTES,
  DEV_INFO_DEV_ID,
  DEV_INFO_FLAGS,
  DEV_INFO_MAX_IO_BUF_BYTES,
  DEV_INFO_NR_HW_QUEUES,
  DEV_INFO_QUEUE_DEPTH,
  DEV_INFO_STATE,
  DEV_INFO_UBLKSRV_PID,
  UBLK_U_CMD_ADD_DEV,
  UBLK_U_CMD_DEL_DEV,
  UBLK_U_CMD_DEL_DEV_ASYNC,
  UBLK_U_CMD_END_USER_RECOVERY,
  UBLK_U_CMD_GET_DEV_INFO,
  UBLK_U_CMD_GET_FEATURES,
  UBLK_U_CMD_QUIESCE_DEV,
  UBLK_U_CMD_SET_PARAMS,
  UBLK_U_CMD_START_DEV,
  UBLK_U_CMD_START_USER_RECOVERY,
  UBLK_U_CMD_STOP_DEV,
} from './layout.js'
import { type DeviceParams, encodeParams } from './params.js'

const ALL_QUEUES = 0xffff
const FEATURES_BYTES = 8

/** What the kernel says of a device. `flags` are the features it granted, at most 2^53. */
export interface DeviceInfo {
  id: number
  queueCount: number
  depth: number
  /** UBLK_S_DEV_* */
  state: number
  maxIoBytes: number
  flags: number
  /** The process that serves it, or -1. */
  pid: number
}

export interface AddDeviceOptions {
  /** -1: the kernel chooses. */
  id: number
  queueCount: number
  depth: number
  maxIoBytes: number
  /** UBLK_F_*: the kernel drops what it does not know, so compare with the answer's. */
  flags: number
}

function readU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x100000000 + view.getUint32(at, true)
}

/** Bytes of struct ublksrv_ctrl_dev_info for ADD_DEV. */
export function encodeDeviceInfo(options: AddDeviceOptions): Uint8Array {
  const bytes = new Uint8Array(DEV_INFO_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint16(DEV_INFO_NR_HW_QUEUES, options.queueCount, true)
  view.setUint16(DEV_INFO_QUEUE_DEPTH, options.depth, true)
  view.setUint32(DEV_INFO_MAX_IO_BUF_BYTES, options.maxIoBytes, true)
  view.setInt32(DEV_INFO_DEV_ID, options.id, true)
  view.setUint32(DEV_INFO_FLAGS, options.flags >>> 0, true)
  view.setUint32(DEV_INFO_FLAGS + 4, Math.floor(options.flags / 0x100000000), true)
  return bytes
}

/** The fields of a struct ublksrv_ctrl_dev_info. */
export function decodeDeviceInfo(bytes: Uint8Array): DeviceInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    id: view.getInt32(DEV_INFO_DEV_ID, true),
    queueCount: view.getUint16(DEV_INFO_NR_HW_QUEUES, true),
    depth: view.getUint16(DEV_INFO_QUEUE_DEPTH, true),
    state: view.getUint16(DEV_INFO_STATE, true),
    maxIoBytes: view.getUint32(DEV_INFO_MAX_IO_BUF_BYTES, true),
    flags: readU64(view, DEV_INFO_FLAGS),
    pid: view.getInt32(DEV_INFO_UBLKSRV_PID, true),
  }
}

async function command(
  name: string,
  op: number,
  id: number,
  data = 0,
  buffer: Uint8Array | null = null,
): Promise<number> {
  const outcome = await addon().control(op, id, ALL_QUEUES, data, buffer)
  if (outcome.result >= 0) return outcome.result
  const syscall = outcome.syscall === 'uring_cmd' ? name : outcome.syscall
  const about = outcome.syscall === 'open' ? '/dev/ublk-control' : id < 0 ? '' : `device ${id}`
  throw new UblkError(syscall, outcome.result, about)
}

/** Whether zoned disks of this kernel keep their writes in order without an I/O scheduler. */
export function plugsZoneWrites(kernelRelease: string): boolean {
  const [major = 0, minor = 0] = kernelRelease.split('.').map(part => Number.parseInt(part, 10))
  return major > 6 || (major === 6 && minor >= 10)
}

/** The control device. Holds nothing open between calls. */
export class UblkControl {
  /** UBLK_F_* that the driver knows. Rejects with EOPNOTSUPP before Linux 6.5. */
  async features(): Promise<number> {
    const bytes = new Uint8Array(FEATURES_BYTES)
    await command('GET_FEATURES', UBLK_U_CMD_GET_FEATURES, -1, 0, bytes)
    return readU64(new DataView(bytes.buffer), 0)
  }

  /** Make a device. The answer has its id, and queues, bytes and flags as the kernel granted them. */
  async addDevice(options: AddDeviceOptions): Promise<DeviceInfo> {
    const bytes = encodeDeviceInfo(options)
    await command('ADD_DEV', UBLK_U_CMD_ADD_DEV, options.id, 0, bytes)
    return decodeDeviceInfo(bytes)
  }

  /** Before start(). After a refusal the kernel has forgotten all parameters. */
  async setParams(id: number, params: DeviceParams): Promise<void> {
    await command('SET_PARAMS', UBLK_U_CMD_SET_PARAMS, id, 0, encodeParams(params))
  }

  /**
   * Make the disk appear. The queues must be serving, and must answer a zone report before this resolves.
   *
   * Since zone write plugging keeps a zone's writes in order by itself (Linux 6.10), the disk gets no I/O scheduler: one would
   * hand every request over through a kernel thread. Who wants one sets it after this, by sysfs or a udev rule.
   */
  async start(id: number, pid: number): Promise<void> {
    await command('START_DEV', UBLK_U_CMD_START_DEV, id, pid)
    if (!plugsZoneWrites(release())) return
    // Only speed depends on it: a sysfs that cannot be written (a container's) is no reason to fail.
    await writeFile(`/sys/block/ublkb${id}/queue/scheduler`, 'none').catch(() => undefined)
  }

  /** Take the disk away; what is in flight is served first. The queues then get -ENODEV. */
  async stop(id: number): Promise<void> {
    await command('STOP_DEV', UBLK_U_CMD_STOP_DEV, id)
  }

  /** Resolves when the last user of the device is gone: close rings, mappings and the char device first. */
  async delete(id: number): Promise<void> {
    await command('DEL_DEV', UBLK_U_CMD_DEL_DEV, id)
  }

  /** As delete(), without waiting for users (Linux 6.9). */
  async deleteAsync(id: number): Promise<void> {
    await command('DEL_DEV_ASYNC', UBLK_U_CMD_DEL_DEV_ASYNC, id)
  }

  /** null when there is no such device. */
  async info(id: number): Promise<DeviceInfo | null> {
    const bytes = new Uint8Array(DEV_INFO_BYTES)
    try {
      await command('GET_DEV_INFO', UBLK_U_CMD_GET_DEV_INFO, id, 0, bytes)
    } catch (error) {
      if (error instanceof UblkError && error.code === 'ENODEV') return null
      throw error
    }
    return decodeDeviceInfo(bytes)
  }

  /** EBUSY until the last thread of the old daemon has let go of the char device. */
  async startRecovery(id: number): Promise<void> {
    await command('START_USER_RECOVERY', UBLK_U_CMD_START_USER_RECOVERY, id)
  }

  /** Resolves when the queues of the new daemon have fetched every tag. */
  async endRecovery(id: number, pid: number): Promise<void> {
    await command('END_USER_RECOVERY', UBLK_U_CMD_END_USER_RECOVERY, id, pid)
  }

  /** Ready the device for another daemon (Linux 6.16, UBLK_F_QUIESCE). EBUSY when no tag fell idle in time; 0 waits for ever. */
  async quiesce(id: number, timeoutMs: number): Promise<void> {
    await command('QUIESCE_DEV', UBLK_U_CMD_QUIESCE_DEV, id, timeoutMs)
  }
}
