/**
 * TTL mixes for `space.ts`: what part of the bytes that are written has which TTL.
 *
 * `reference` is a mix of session, page and token lifetimes, each uniform within 10 % of its mean. The others are from the published
 * statistics of Twitter's caches in March 2020: https://github.com/twitter/cache-trace, stat/2020Mar.md, CC BY 4.0 (J. Yang,
 * Y. Yue, R. Vinayak, "A large scale analysis of hundreds of in-memory cache clusters at Twitter", OSDI 2020). Copied: cluster,
 * key and value size (bytes), request rate (thousands a second), the share of operations that write (set, add, cas, incr, prepend),
 * and the common TTLs with their shares. Changed: shares are scaled to a sum of 1 (the table lists only common TTLs), taken as shares
 * of bytes, and a TTL printed with one decimal (1.8h) is uniform within what rounds to it.
 */

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const UNITS: Readonly<Record<string, number>> = { s: SECOND_MS, h: HOUR_MS, d: DAY_MS }

/** Part of a mix: TTLs from `fromMs` to `toMs`, uniform; `share` of the bytes written. Without TTL both are Infinity. */
export interface Mode {
  readonly fromMs: number
  readonly toMs: number
  readonly share: number
}

export interface Mix {
  readonly name: string
  readonly modes: readonly Mode[]
}

/** Shares scaled to a sum of 1. */
function mixOf(name: string, modes: readonly Mode[]): Mix {
  const sum = modes.reduce((all, { share }) => all + share, 0)
  return { name, modes: modes.map(mode => ({ ...mode, share: mode.share / sum })) }
}

const spread = (ms: number, share: number): Mode => ({ fromMs: ms * 0.9, toMs: ms * 1.1, share })

const REFERENCE = [
  spread(MINUTE_MS, 0.15),
  spread(5 * MINUTE_MS, 0.15),
  spread(HOUR_MS, 0.2),
  spread(2 * HOUR_MS, 0.1),
  spread(12 * HOUR_MS, 0.1),
  spread(DAY_MS, 0.2),
  spread(7 * DAY_MS, 0.1),
]

/** A cell of the table's column "common TTL": `1.8h:0.28, 2h:0.12`. */
function modesOf(cell: string): Mode[] {
  return cell.split(', ').map(part => {
    const [, text, unit, share] = /^([\d.]+)([shd]):([\d.]+)$/.exec(part)!
    const unitMs = UNITS[unit!]!
    const slack = text!.includes('.') ? 0.05 : 0
    const ttl = Number(text)
    return { fromMs: (ttl - slack) * unitMs, toMs: (ttl + slack) * unitMs, share: Number(share) }
  })
}

/** cluster, key bytes, value bytes, thousand requests a second, share that writes, common TTLs. */
type Row = readonly [number, number, number, number, number, string]

/** Every cluster of the table with a TTL and a share of writes of at least one hundredth. */
const CLUSTERS: readonly Row[] = [
  [4, 67, 2439, 5.26, 0.07, '60s:0.39, 300s:0.24, 1h:0.13, 600s:0.12, 4h:0.09, 1d:0.03'],
  [
    ...([6, 44, 252, 12.61, 0.02] as const),
    '520s:0.03, 510s:0.03, 490s:0.03, 590s:0.03, 540s:0.03, 550s:0.03, 570s:0.02, 500s:0.02, 580s:0.02, 596s:0.02',
  ],
  [7, 17, 1936, 1.62, 0.18, '1.8h:0.28, 1.7h:0.24, 1.9h:0.23, 1.6h:0.13, 2h:0.12'],
  [8, 23, 9497, 2.11, 0.5, '1380s:0.95, 1379s:0.05'],
  [10, 22, 2333, 0.22, 0.5, '2h:1.00'],
  [11, 24, 170, 4.16, 0.03, '5d:0.97, 20s:0.03'],
  [12, 44, 1030, 4.36, 0.8, '300s:0.98, 299s:0.02'],
  [13, 44, 4266, 1.34, 0.62, '300s:0.97, 299s:0.03'],
  [14, 96, 414, 5.81, 0.13, '1d:1.00'],
  [15, 18, 102, 9.02, 1, '30s:1.00'],
  [16, 18, 115, 17.51, 0.05, '1h:0.99'],
  [18, 18, 37, 26.4, 0.02, '12h:1.00'],
  [
    ...([19, 42, 101, 3.31, 0.25] as const),
    '7.5h:0.08, 7.4h:0.07, 6.6h:0.07, 7.2h:0.07, 6.7h:0.07, 7h:0.07, 7.1h:0.07, 6.8h:0.07, 6.9h:0.07, 7.3h:0.06',
  ],
  [20, 26, 55, 5.63, 0.03, '5d:0.99'],
  [21, 25, 1, 2.18, 1, '2.2h:0.62, 10s:0.23, 900s:0.14'],
  [22, 54, 4, 3.24, 0.28, '1d:0.85, 1h:0.11, 1800s:0.03'],
  [23, 35, 224, 8.69, 0.61, '120s:0.93, 2700s:0.05, 5s:0.03'],
  [25, 49, 28, 18.97, 0.04, '30d:0.99'],
  [
    ...([26, 122, 1745, 0.25, 0.29] as const),
    '60s:0.67, 120s:0.10, 360s:0.09, 600s:0.06, 660s:0.03, 180s:0.02',
  ],
  [27, 66, 8, 24.55, 0.15, '92.6d:0.28, 1d:0.25, 1h:0.20, 4h:0.18, 6h:0.06, 12h:0.02'],
  [28, 45, 85, 9.05, 0.06, '3h:0.56, 1.2d:0.43'],
  [29, 36, 799, 10.73, 0.13, '1h:0.67, 2h:0.33'],
  [31, 41, 15, 2.52, 0.94, '60s:1.00'],
  [32, 41, 138, 7.35, 0.98, '60s:1.00'],
  [
    ...([33, 24, 1118, 10.53, 0.01] as const),
    '10.7h:0.05, 11.2h:0.05, 11.7h:0.04, 11.6h:0.04, 11.5h:0.04, 10.9h:0.04, 11.3h:0.04, 10.6h:0.04, 9.8h:0.04, 11.1h:0.04',
  ],
  [
    ...([34, 33, 322, 3.4, 0.06] as const),
    '10.6h:0.04, 10.5h:0.04, 11.1h:0.04, 9.8h:0.04, 11.2h:0.04, 10.7h:0.04, 9.7h:0.04, 10h:0.04, 10.1h:0.03, 10.4h:0.03',
  ],
  [35, 19, 1796, 3.06, 0.04, '60s:1.00'],
  [36, 23, 78, 9.08, 0.06, '30d:1.00'],
  [37, 72, 20134, 4.15, 0.37, '20s:0.91, 300s:0.06, 2h:0.02, 600s:0.01'],
  [38, 41, 185, 2.52, 0.94, '60s:1.00'],
  [39, 41, 80, 2.52, 0.94, '60s:1.00'],
  [40, 44, 155, 6.26, 0.5, '8h:0.95, 1d:0.05'],
  [41, 44, 171, 5.18, 0.5, '8h:0.95, 1d:0.05'],
  [42, 40, 4703, 6.84, 0.04, '600s:0.82, 300s:0.16, 6h:0.02'],
  [43, 44, 304, 14.54, 0.5, '8h:1.00'],
  [44, 25, 22, 9.41, 0.01, '30d:1.00'],
  [45, 10, 120, 0.33, 0.15, '15d:1.00'],
  [46, 44, 928, 10.47, 0.32, '12h:0.58, 1h:0.41'],
  [48, 44, 70, 1.84, 0.35, '1d:1.00'],
  [49, 44, 10658, 1.25, 0.43, '1d:0.99, 24h:0.01'],
  [50, 18, 67485, 0.24, 0.48, '900s:0.73, 1200s:0.24, 1199s:0.03'],
  [51, 44, 221, 10.4, 0.1, '2d:1.00'],
  [52, 20, 273, 24.25, 0.08, '1d:0.65, 14d:0.27, 12h:0.07'],
  [53, 36, 9213, 1.38, 0.12, '30d:0.66, 21d:0.34'],
  [
    ...([54, 19, 246, 0.65, 0.03] as const),
    '3.8h:0.13, 3.3h:0.13, 3.4h:0.13, 3.9h:0.12, 3.5h:0.12, 3.6h:0.12, 3.7h:0.11, 4h:0.07, 3.2h:0.06',
  ],
]

/** One store for several clusters: each with the bytes that it writes, or all with as many. */
function clusters(name: string, numbers: readonly number[] | null, isEven: boolean): Mix {
  const modes: Mode[] = []
  for (const [number, keyBytes, valueBytes, thousands, writes, cell] of CLUSTERS) {
    if (numbers !== null && !numbers.includes(number)) continue
    const mix = mixOf('', modesOf(cell)).modes
    const weight = isEven ? 1 : (keyBytes + valueBytes) * thousands * writes
    for (const mode of mix) modes.push({ ...mode, share: mode.share * weight })
  }
  return mixOf(name, modes)
}

export const MIXES: readonly Mix[] = [
  mixOf('reference', REFERENCE),
  mixOf('reference, 5 % no TTL', [
    ...REFERENCE.map(mode => ({ ...mode, share: mode.share * 0.95 })),
    { fromMs: Infinity, toMs: Infinity, share: 0.05 },
  ]),
  clusters('twitter 4', [4], true),
  clusters('twitter 27', [27], true),
  clusters('twitter 52', [52], true),
  clusters('twitter 19+33+54', [19, 33, 54], true),
  clusters('twitter, all', null, false),
  clusters('twitter, all, even', null, true),
]
