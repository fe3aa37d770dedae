/**
 * The lifetime-slab object store on a zoned device: objects that die together share a zone, and one reset ends them all.
 *
 * Goals: tiny objects with TTLs; exact deadlines; write amplification near 1, counted by cause; some four bytes of memory
 * an object; whole again after a crash. Non-goals: transactions, ordering of keys, more than one process on a device.
 */

export { planCache, type RecordCacheOptions } from './cache-plan.js'
export { StoreError, type StoreErrorCode } from './errors.js'
export { readIndex, readTrailer } from './group-index.js'
export { KeyHash } from './key-hash.js'
export { LifetimeClasses, type LifetimeClassesOptions } from './lifetime-classes.js'
export { readMarks, writeMarks } from './marks.js'
export { ObjectIndex } from './object-index.js'
export { takeSlot } from './open-slab.js'
export { DEADLINE, RecordCache, type RecordCacheStats, VERSION } from './record-cache.js'
export { writeRun } from './run.js'
export { isPossibleSlab } from './slab.js'
export { ZoneWriter } from './zone-writer.js'
