/**
 * The lifetime-slab object store on a zoned device: objects that die together share a zone, and one reset ends them all.
 *
 * Goals: tiny objects with TTLs; exact deadlines; write amplification near 1, counted by cause; some four bytes of memory
 * an object; whole again after a crash. Non-goals: transactions, ordering of keys, more than one process on a device.
 */

// What `device` and `deviceOptions` may be, and what opening one throws.
export {
  DeviceError,
  type DeviceErrorCode,
  type DeviceOptions,
  type DeviceTarget,
  type MemoryTarget,
} from '../devices/index.js'
// The drives that a store can be on, for programs that make their own.
export * from '../zone-model/index.js'
export { type CheckedZone, type CheckOptions, checkStore, type StoreCheck } from './check.js'
export { STORE_ERRORS, StoreError, type StoreErrorCode } from './errors.js'
export { open } from './open.js'
export { type Durability, type Eviction, STORE_OPTIONS, type StoreOptions } from './options.js'
export type { RecoveryReport } from './recovery.js'
export type { ScannedObject, ScanPage } from './scanner.js'
export type { MemoryLedger, StoreStats } from './stats.js'
export type { Entry, Key, SetOptions, Store, Value } from './store.js'
export type { WriteAmplification } from './write-ledger.js'
export type { ZoneView } from './zone-view.js'
