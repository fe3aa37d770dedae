/**
 * Opens zoned devices: a drive in memory, a drive in a directory, a zoned block device of the kernel.
 *
 * Goals: one interface (ZonedDevice) with one behaviour, and a conformance suite that says so; errors that name what is wrong
 * and what to do; importing this loads no addon.
 * Non-goals: what is written to the zones (store), making block devices (daemon).
 */
export { AlignedMemory } from './aligned-memory.js'
export {
  type BlockDeviceLayout,
  type OpenBlockDevice,
  openBlockDevice,
  openPast,
} from './block-device.js'
export { BlockDrive, openBlockDrive } from './block-drive.js'
export { DEVICE_ERRORS, DeviceError, type DeviceErrorCode } from './errors.js'
export { FileDrive } from './file-drive.js'
export {
  type DeviceOptions,
  type DeviceTarget,
  type MemoryTarget,
  openDevice,
} from './open-device.js'
export { holdsFileDrive, makeFileDrive, openFileDrive } from './open-file-drive.js'
export { dropProcessLock, startTicksOf, takeProcessLock } from './process-lock.js'
export { sideBySide } from './side-by-side.js'
