/**
 * The boundaries of lifetime classes before a restart, from the headers of zones: each says which TTLs its class had when it
 * was opened. Learning goes on from there instead of from a guess.
 */
import type { ZoneHeader } from './zone-header.js'

/** Class `classes[i]` has TTLs up to `boundariesMs[i]`; both ascend. */
export interface RememberedClasses {
  readonly boundariesMs: readonly number[]
  readonly classes: readonly number[]
}

/** Of each class the newest zone counts. Null when they do not fit together: boundaries have moved between them. */
export function rememberedClasses(headers: readonly ZoneHeader[]): RememberedClasses | null {
  const newest = new Map<number, ZoneHeader>()
  for (const header of headers) {
    const known = newest.get(header.lifetimeClass)
    if (known === undefined || header.sequence > known.sequence) {
      newest.set(header.lifetimeClass, header)
    }
  }
  const ranges = [...newest.values()]
    .filter(({ ttlAboveMs, ttlUpToMs }) => ttlUpToMs > ttlAboveMs && Number.isFinite(ttlUpToMs))
    .sort((a, b) => a.lifetimeClass - b.lifetimeClass)
  const isAscending = ranges.every(
    ({ ttlAboveMs }, i) => i === 0 || ttlAboveMs >= ranges[i - 1]!.ttlUpToMs,
  )
  if (ranges.length === 0 || !isAscending) return null
  return {
    boundariesMs: ranges.map(range => range.ttlUpToMs),
    classes: ranges.map(range => range.lifetimeClass),
  }
}
