/**
 * Times and counts as people type and read them: 90s, 5m, 10M.
 */

const TIME_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** "250ms", "90s", "5m", "1.5h", "7d" → milliseconds; NaN when it is none of these. */
export function parseTime(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim())
  return match === null ? Number.NaN : Number(match[1]) * TIME_UNITS[match[2]!]!
}

const COUNT_UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 }

/** "500", "10k", "2.5M" → a whole number; NaN when it is none. Powers of ten: these are things, not bytes. */
export function parseCount(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(text.trim())
  if (match === null) return Number.NaN
  const count = Math.round(Number(match[1]) * COUNT_UNITS[match[2]!.toLowerCase()]! * 1e6) / 1e6
  return Number.isSafeInteger(count) ? count : Number.NaN
}

/** 10000000 → "10M", 3600000 → "3.6M". Exact: what does not divide stays as it is. */
export function formatThousands(count: number): string {
  for (const [suffix, unit] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    const tenths = (count / unit) * 10
    if (count >= unit && Number.isInteger(tenths)) return `${tenths / 10}${suffix}`
  }
  return String(count)
}

const STEPS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

/** 192000 → "3m 12s", its two largest parts; below ten seconds "1.5s", below one "20ms". Infinity → "never". */
export function formatTime(ms: number): string {
  if (ms === Number.POSITIVE_INFINITY) return 'never'
  if (ms < 1000) return `${Math.round(ms)}ms`
  if (ms < 9950) return `${(Math.round(ms / 100) / 10).toString()}s`
  let left = Math.round(ms / 1000) * 1000
  const parts: string[] = []
  for (const [unit, size] of STEPS) {
    const count = Math.floor(left / size)
    if (count === 0 && parts.length === 0) continue
    if (count > 0) parts.push(`${count}${unit}`)
    left -= count * size
    if (parts.length === 2 || (parts.length === 1 && left < size / 60)) break
  }
  return parts.slice(0, 2).join(' ')
}

/** 1234567 → "1.23M", three digits at most: for rates and bars. */
export function formatRough(value: number): string {
  for (const [suffix, unit] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (value >= unit) return `${Number((value / unit).toPrecision(3))}${suffix}`
  }
  return String(Math.round(value))
}

/** Nanoseconds: 350 → "350 ns", 12345 → "12.3 µs". */
export function formatNs(ns: number): string {
  if (ns < 1000) return `${Math.round(ns)} ns`
  if (ns < 1e6) return `${Number((ns / 1e3).toPrecision(3))} µs`
  return `${Number((ns / 1e6).toPrecision(3))} ms`
}
