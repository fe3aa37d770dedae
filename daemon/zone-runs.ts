/**
 * Zones as a trace names them: neighbours that are alike in one run, so that the report of an empty drive is one item.
 */
import type { ZoneCondition, ZoneRun } from './protocol.js'

/** A zone's condition, and its write pointer in sectors from its start; null where it means nothing. */
export interface ZoneState {
  condition: ZoneCondition
  wp: number | null
}

/** The zones of a whole device, in order → runs. */
export function zoneRuns(zones: readonly ZoneState[]): ZoneRun[] {
  const runs: ZoneRun[] = []
  for (const { condition, wp } of zones) {
    const last = runs.at(-1)
    if (last !== undefined && last.condition === condition && (last.wp ?? null) === wp) last.count++
    else runs.push(wp === null ? { count: 1, condition } : { count: 1, condition, wp })
  }
  return runs
}

/** The inverse of {@link zoneRuns}. */
export function zonesOfRuns(runs: readonly ZoneRun[]): ZoneState[] {
  return runs.flatMap(({ count, condition, wp = null }) =>
    Array.from({ length: count }, () => ({ condition, wp })),
  )
}
