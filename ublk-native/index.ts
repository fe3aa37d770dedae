/**
 * Moves bytes and talks to the kernel's ublk driver; the only part with C++.
 *
 * Goals: each request costs one copy and no allocation; every command from TypeScript is checked before it touches memory;
 * nothing blocks the main thread; importing this loads no addon (the first use does).
 * Non-goals: what a zone is, whether a request is legal (zone-model), the life of a device (daemon).
 */
export { addonPath } from './addon.js'
export { rangeIoctl, readZones, refreshZones, zoneIoctl } from './block-device.js'
export { closeFd, openCharDevice } from './char-device.js'
export {
  type AddDeviceOptions,
  type DeviceInfo,
  decodeDeviceInfo,
  encodeDeviceInfo,
  UblkControl,
} from './control.js'
export { check, errnoName, UblkError } from './errors.js'
export {
  featuresToRequest,
  missingFeatures,
  REQUIRED_FEATURES,
  refusedKernel,
} from './features.js'
export { FileRing } from './file-ring.js'
export { benchNs, fillBuffer, fillScan, type ScanVariant, scanVariants } from './fill-scan.js'
export { kick, registerKick, unregisterKick } from './kick.js'
export * from './layout.js'
export {
  benchMedia,
  benchPages,
  CODECS,
  type Compression,
  type Demotion,
  type MediaOptions,
  type MediaStats,
  type NativeMedia,
  openMedia,
  type PageStats,
  type RegionStats,
  SCRATCH_PAGE_BYTES,
} from './media.js'
export { type DeviceParams, encodeParams } from './params.js'
export { openQueue, type Queue, type QueueOptions } from './queue.js'
export {
  createMemfd,
  gettid,
  giveBack,
  hardenThread,
  mapLazy,
  mapShared,
  scheduleAsBatch,
  seekFile,
  unmapShared,
} from './shared-memory.js'
