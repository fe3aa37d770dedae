/**
 * `zslab store map`: the zones of a store as a picture, a row for each class of lifetime.
 *
 *   CLASS  TTL          ZONES                RESET IN
 *       3  up to 1m 3s  ████▅                12s to 58s
 *                       ▓▓██░
 *
 * A cell is a zone: how high it is filled, and how much of what was written to it lives: by its colour where there are
 * colours, else by the shade below. In a row what is reset first comes first; the zone that is being written comes last.
 */
import type { ZoneView } from '../store/index.js'
import { printResult } from './output.js'
import { formatTime } from './quantities.js'
import type { StoreRun } from './store-objects.js'
import { withStore } from './store-target.js'
import { formatCount, formatSize, plural } from './table.js'

const EIGHTHS = '▁▂▃▄▅▆▇█'
const SHADES = '·░▒▓█'
/** Of 256: from dead to alive. */
const COLOURS = [240, 160, 208, 220, 40]
const RESET = '\u001b[0m'
const WIDTH_DEFAULT = 80
const CELLS_MIN = 16

export interface StoreMap {
  readonly target: string
  readonly zonesTotal: number
  readonly zonesFree: number
  readonly zoneBytes: number
  readonly classes: readonly MapClass[]
}

interface MapClass {
  readonly lifetimeClass: number
  /** What a new object needs to be of this class; null where there is none or no limit. */
  readonly ttlAboveMs: number | null
  readonly ttlUpToMs: number | null
  readonly zones: readonly MapZone[]
}

interface MapZone {
  readonly zone: number
  readonly state: ZoneView['state']
  /** 0 to 1. */
  readonly fill: number
  readonly live: number
  readonly records: number
  readonly liveRecords: number
  /** Null: never, because something in it has no time to live. */
  readonly resetInMs: number | null
}

function mapZone({
  zone,
  state,
  pagesUsed,
  pages,
  records,
  liveRecords,
  leftMs,
}: ZoneView): MapZone {
  const live = records === 0 ? 0 : liveRecords / records
  const resetInMs = Number.isFinite(leftMs) ? Math.round(leftMs) : null
  return { zone, state, fill: pagesUsed / pages, live, records, liveRecords, resetInMs }
}

/** First what is reset first; last what is being written. */
function inOrder(a: MapZone, b: MapZone): number {
  if (a.state !== b.state) return a.state === 'open' ? 1 : -1
  return (a.resetInMs ?? Infinity) - (b.resetInMs ?? Infinity) || a.zone - b.zone
}

function step(share: number, steps: number): number {
  return Math.min(steps - 1, Math.max(0, Math.ceil(share * steps) - 1))
}

/** Dead is 0, and nothing else is. */
function shadeOf(live: number): number {
  return live <= 0 ? 0 : 1 + step(live, SHADES.length - 1)
}

/** Of all zones of the class that are in use: boundaries move, and each zone has those of its opening. */
function mapClass(lifetimeClass: number, views: readonly ZoneView[]): MapClass {
  const above = Math.min(...views.map(({ ttlAboveMs }) => ttlAboveMs))
  const upTo = Math.max(...views.map(({ ttlUpToMs }) => ttlUpToMs))
  return {
    lifetimeClass,
    ttlAboveMs: Number.isFinite(above) ? above : null,
    ttlUpToMs: Number.isFinite(upTo) ? upTo : null,
    zones: views.map(mapZone).sort(inOrder),
  }
}

export function mapOf(
  target: string,
  views: readonly ZoneView[],
  zones: { total: number; free: number },
  zoneBytes: number,
): StoreMap {
  const numbers = [...new Set(views.map(({ lifetimeClass }) => lifetimeClass))].sort(
    (a, b) => a - b,
  )
  const classes = numbers.map(number =>
    mapClass(
      number,
      views.filter(({ lifetimeClass }) => lifetimeClass === number),
    ),
  )
  return { target, zonesTotal: zones.total, zonesFree: zones.free, zoneBytes, classes }
}

function rangeText({ ttlAboveMs, ttlUpToMs }: MapClass): string {
  if (ttlAboveMs === null) return 'no TTL'
  if (ttlUpToMs === null) return ttlAboveMs === 0 ? 'any TTL' : `above ${formatTime(ttlAboveMs)}`
  const from = ttlAboveMs === 0 ? 'up' : formatTime(ttlAboveMs)
  return `${from} to ${formatTime(ttlUpToMs)}`
}

function resetText({ zones }: MapClass): string {
  const [first, last] = [zones[0]!, zones.at(-1)!].map(({ resetInMs }) => resetInMs)
  const times = zones.map(({ resetInMs }) => resetInMs ?? Infinity)
  const [soonest, latest] = [Math.min(...times), Math.max(...times)].map(formatTime)
  if (first === null && last === null && soonest === 'never') return 'never'
  return soonest === latest ? soonest! : `${soonest} to ${latest}`
}

/** The cells of zones: one line where there are colours, else one for the fill and one for what lives. */
function cellLines(zones: readonly MapZone[], hasColour: boolean): string[] {
  const heights = zones.map(({ fill }) => EIGHTHS[step(fill, EIGHTHS.length)]!)
  const shades = zones.map(({ live }) => shadeOf(live))
  if (!hasColour) return [heights.join(''), shades.map(shade => SHADES[shade]).join('')]
  const cells = heights.map((height, at) => `\u001b[38;5;${COLOURS[shades[at]!]}m${height}`)
  return [`${cells.join('')}${RESET}`]
}

function legend(hasColour: boolean): string {
  const shares = ['0', 'to 25 %', 'to 50 %', 'to 75 %', 'to 100 %']
  const marks = shares.map((text, at) => {
    const mark = hasColour ? `\u001b[38;5;${COLOURS[at]}m█${RESET}` : SHADES[at]
    return `${mark} ${text}`
  })
  const first = hasColour ? 'colour' : 'below'
  return [
    `a cell is a zone, ${EIGHTHS} full; the last of a row is the one being written`,
    `${first}: share that lives: ${marks.join(', ')}`,
  ].join('\n')
}

/** `columns`: of the terminal. */
export function formatMap(found: StoreMap, columns: number, hasColour: boolean): string {
  const { target, zonesTotal, zonesFree, zoneBytes, classes } = found
  const used = classes.reduce((sum, { zones }) => sum + zones.length, 0)
  const head = `${target}: ${plural(zonesTotal, 'zone')} of ${formatSize(zoneBytes)}, ${formatCount(used)} in use, ${formatCount(zonesFree)} free\n`
  if (classes.length === 0) return head
  const ranges = classes.map(rangeText)
  const resets = classes.map(resetText)
  const rangeWidth = Math.max(3, ...ranges.map(text => text.length))
  const resetWidth = Math.max(8, ...resets.map(text => text.length))
  const room = Math.max(CELLS_MIN, columns - 1 - (7 + rangeWidth + 2 + 2 + resetWidth))
  const cellWidth = Math.min(room, Math.max(5, ...classes.map(({ zones }) => zones.length)))
  const lines = [`CLASS  ${'TTL'.padEnd(rangeWidth)}  ${'ZONES'.padEnd(cellWidth)}  RESET IN`]
  for (const [at, { lifetimeClass, zones }] of classes.entries()) {
    for (let from = 0; from < zones.length; from += cellWidth) {
      const part = zones.slice(from, from + cellWidth)
      for (const [line, cells] of cellLines(part, hasColour).entries()) {
        const isFirst = from === 0 && line === 0
        const number = isFirst ? String(lifetimeClass).padStart(5) : ' '.repeat(5)
        const range = (isFirst ? ranges[at]! : '').padEnd(rangeWidth)
        const blanks = ' '.repeat(cellWidth - part.length)
        const reset = isFirst ? `${blanks}  ${resets[at]}` : ''
        lines.push(`${number}  ${range}  ${cells}${reset}`.trimEnd())
      }
    }
  }
  return `${head}\n${lines.join('\n')}\n\n${legend(hasColour)}\n`
}

export async function map({ io, target, values, common }: StoreRun): Promise<void> {
  const found = await withStore(io, target, values, { mayMake: false }, store => {
    const { zones } = store.stats()
    return Promise.resolve(mapOf(target, store.zones(), zones, store.zoneBytes))
  })
  const text = () => formatMap(found, io.columns ?? WIDTH_DEFAULT, io.hasColour)
  printResult(io, common.json === true, found, text)
}
