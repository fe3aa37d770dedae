/**
 * What a replay found: how many requests ended as they were recorded, and in which ways the others did not.
 */
import type { ZoneState } from '../daemon/client.js'
import { formatFields, formatTable, left, plural, right } from './table.js'
import type { TraceRequest } from './trace-file.js'

/** All requests of one operation that differ in the same way. */
export interface Difference {
  op: string
  recorded: string
  replayed: string
  count: number
  /** The first of them, by its line in the trace. */
  line: number
}

export interface ZoneDifference {
  zone: number
  recorded: ZoneState
  replayed: ZoneState
}

export interface Comparison {
  trace: string
  device: string
  requests: number
  same: number
  different: number
  /** Of operations that no program can ask for. */
  skipped: number
  /** Reads whose bytes were compared with what the replay had written. */
  checkedReads: number
  seconds: number
  differences: Difference[]
  /** null: the trace does not say how the zones were at its end. */
  zones: ZoneDifference[] | null
  /** True when somebody ended it before the trace was over. */
  interrupted: boolean
}

export interface Outcome {
  result: number
  /** Where an append went. */
  lba?: number
  /** False: a read gave other bytes than had been written. */
  isRight: boolean
}

const MOVES_BYTES: readonly string[] = ['read', 'write', 'append']
const SECTOR_BYTES = 512

/** Counts differences by their kind. */
export class DifferenceCounter {
  readonly #differences = new Map<string, Difference>()
  readonly #errnoName: (errno: number) => string
  same = 0
  different = 0

  constructor(errnoName: (errno: number) => string) {
    this.#errnoName = errnoName
  }

  /** The kinds, the most frequent first. */
  get differences(): Difference[] {
    return [...this.#differences.values()].sort((a, b) => b.count - a.count || a.line - b.line)
  }

  note(line: number, request: TraceRequest, outcome: Outcome): void {
    const recorded = this.#describe(request, request.result)
    const base = this.#describe(request, outcome.result)
    const isElsewhere = recorded === 'ok' && base === 'ok' && request.lba !== outcome.lba
    const replayed = isElsewhere ? 'ok, elsewhere' : outcome.isRight ? base : `${base}, wrong data`
    if (recorded === replayed) {
      this.same++
      return
    }
    this.different++
    const key = `${request.op}\n${recorded}\n${replayed}`
    const known = this.#differences.get(key)
    if (known === undefined)
      this.#differences.set(key, { op: request.op, recorded, replayed, count: 1, line })
    else {
      known.count++
      known.line = Math.min(known.line, line)
    }
  }

  #describe({ op, sectors = 0 }: TraceRequest, result: number): string {
    if (result < 0) return this.#errnoName(result)
    if (!MOVES_BYTES.includes(op)) return 'ok'
    const whole = sectors * SECTOR_BYTES
    return result === whole ? 'ok' : `${result} of ${whole} bytes`
  }
}

/** Zones that are not alike. */
export function compareZones(
  recorded: readonly ZoneState[],
  replayed: readonly ZoneState[],
): ZoneDifference[] {
  const none: ZoneState = { condition: 'offline', wp: null }
  return recorded.flatMap((zone, index) => {
    const other = replayed[index] ?? none
    const isSame = zone.condition === other.condition && zone.wp === other.wp
    return isSame ? [] : [{ zone: index, recorded: zone, replayed: other }]
  })
}

/** Whether nothing differs, to the end. */
export function isSame({ different, zones, interrupted }: Comparison): boolean {
  return different === 0 && (zones === null || zones.length === 0) && !interrupted
}

const ZONES_SHOWN = 16

/** "implicit-open, wp 128". */
export function formatZoneState({ condition, wp }: ZoneState): string {
  return wp === null ? condition : `${condition}, wp ${wp}`
}

function formatZones(zones: readonly ZoneDifference[]): string {
  const columns = [right('ZONE'), left('RECORDED'), left('REPLAYED')]
  const rows = zones
    .slice(0, ZONES_SHOWN)
    .map(({ zone, recorded, replayed }) => [
      String(zone),
      formatZoneState(recorded),
      formatZoneState(replayed),
    ])
  const more = zones.length - ZONES_SHOWN
  const note = more > 0 ? `and ${more} more (--json has all)\n` : ''
  return `\n${plural(zones.length, 'zone')} not as at the end of the recording:\n${formatTable(columns, rows)}${note}`
}

/** A comparison as people read it. */
export function formatComparison(comparison: Comparison): string {
  const { trace, device, differences, zones, seconds, skipped, interrupted } = comparison
  const rate = seconds > 0 ? `, ${Math.round(comparison.requests / seconds)} a second` : ''
  const head = `${trace} on ${device}: ${plural(comparison.requests, 'request')} in ${seconds.toFixed(1)} s${rate}\n`
  const fields = formatFields([
    ['same', String(comparison.same)],
    ['different', String(comparison.different)],
    ['checked reads', String(comparison.checkedReads)],
    ...(skipped > 0 ? [['skipped', `${skipped} that no program can ask for`] as const] : []),
    [
      'zones',
      zones === null
        ? 'not compared: the trace does not say how they were at its end'
        : zones.length === 0
          ? 'all as at the end of the recording'
          : `${zones.length} differ`,
    ],
  ])
  const columns = [left('OP'), left('RECORDED'), left('REPLAYED'), right('COUNT'), right('LINE')]
  const rows = differences.map(({ op, recorded, replayed, count, line }) => [
    ...[op, recorded, replayed, String(count), String(line)],
  ])
  const table =
    rows.length === 0 ? '' : `\n${formatTable(columns, rows)}LINE is that of the first.\n`
  const early = interrupted ? '\nEnded before the trace was over.\n' : ''
  const list = zones === null || zones.length === 0 ? '' : formatZones(zones)
  return `${head}${fields}${table}${list}${early}`
}
