/** What lifetime classes cost, the plain way: the sum of zone + rate x longest TTL over the classes that have bytes. */
export function costOf(
  classOf: (ttlMs: number) => number,
  ttlsMs: readonly number[],
  rates: readonly number[],
  zoneBytes: number,
): number {
  const longest = new Map<number, number>()
  const rate = new Map<number, number>()
  ttlsMs.forEach((ttl, i) => {
    const one = classOf(ttl)
    longest.set(one, Math.max(longest.get(one) ?? 0, ttl))
    rate.set(one, (rate.get(one) ?? 0) + rates[i]!)
  })
  let cost = 0
  for (const [one, ttl] of longest) cost += zoneBytes + rate.get(one)! * ttl
  return cost
}
