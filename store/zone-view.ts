/**
 * The zones that a store uses, as a list for people and programs: what `zslab store map` draws.
 */
import type { Zones } from './zones.js'
import { ZONE_OPEN } from './zones.js'

export interface ZoneView {
  /** Its number on the device. */
  readonly zone: number
  /** 0 is the class of the shortest TTLs; the last one is for objects without. */
  readonly lifetimeClass: number
  /** The TTLs that its class was for when it was opened, ms: above the first, up to the second; both Infinity: objects without. */
  readonly ttlAboveMs: number
  readonly ttlUpToMs: number
  /** Open: its class writes to it. Sealed: it is read until its last deadline. */
  readonly state: 'open' | 'sealed'
  /** Pages with something on them, or about to be written. */
  readonly pagesUsed: number
  readonly pages: number
  /** Records that were written to it and are there as long as the zone is. */
  readonly records: number
  /** Those of them that were neither deleted nor written anew; they may be past their deadline. */
  readonly liveRecords: number
  /** Milliseconds since the epoch; Infinity when something in it has no deadline, -Infinity when nothing is in it. */
  readonly lastDeadlineMs: number
  /** Milliseconds until then by the clock of the store, 0 at least: when the zone is reset. */
  readonly leftMs: number
}

/** In the order of the device. */
export function viewZones(zones: Zones, pages: number, nowMs: number): ZoneView[] {
  const views: ZoneView[] = []
  for (const [zone, vzone] of zones.virtualOf.entries()) {
    if (vzone < 0 || !zones.isInUse(vzone)) continue
    const lastDeadlineMs = zones.lastDeadlineMs[vzone]!
    views.push({
      zone,
      lifetimeClass: zones.lifetimeClass[vzone]!,
      ttlAboveMs: zones.ttlAboveMs[vzone]!,
      ttlUpToMs: zones.ttlUpToMs[vzone]!,
      state: zones.state[vzone] === ZONE_OPEN ? 'open' : 'sealed',
      pagesUsed: zones.pagesUsed[vzone]!,
      pages,
      records: zones.records[vzone]!,
      liveRecords: zones.liveRecords[vzone]!,
      lastDeadlineMs,
      leftMs: Math.max(0, lastDeadlineMs - nowMs),
    })
  }
  return views
}
