/**
 * `zslab store check`: every checksum of a store, zone by zone. Writes nothing.
 */
import type { CheckedZone, StoreCheck } from '../store/index.js'
import { EXIT_FAILED, ExitCode, printResult } from './output.js'
import { ProgressLine } from './progress.js'
import type { StoreRun } from './store-objects.js'
import { inOtherWords } from './store-target.js'
import { formatCount, formatTable, left, plural, right } from './table.js'

const READING = { mayMake: false }

/** [3, 4, 5, 9] → "3-5, 9". */
export function formatRanges(numbers: readonly number[]): string {
  const parts: string[] = []
  for (let at = 0; at < numbers.length; ) {
    let end = at
    while (numbers[end + 1] === numbers[end]! + 1) end++
    parts.push(end === at ? String(numbers[at]) : `${numbers[at]}-${numbers[end]}`)
    at = end + 1
  }
  return parts.join(', ')
}

function zoneRow(zone: CheckedZone): string[] {
  const { damagedPages, problem } = zone
  const isWhole = damagedPages.length === 0 && problem === null
  return [
    String(zone.zone),
    zone.lifetimeClass === null ? '?' : String(zone.lifetimeClass),
    formatCount(zone.pages),
    formatCount(zone.records),
    formatCount(zone.live),
    isWhole ? '' : formatRanges(damagedPages),
  ]
}

/** Zones as a table, what is wrong with which, and one line that says how it is. */
export function formatCheck(check: StoreCheck, target: string): string {
  const { zones, zonesEmpty, zonesFailed, records, live, damagedPages, isWhole } = check
  const columns = [
    ...[right('ZONE'), right('CLASS'), right('PAGES'), right('RECORDS'), right('LIVE')],
    left('DAMAGED PAGES'),
  ]
  const table = zones.length === 0 ? '' : formatTable(columns, zones.map(zoneRow))
  const problems = zones
    .filter(({ problem }) => problem !== null)
    .map(({ zone, problem }) => `zone ${zone}: ${problem}\n`)
  const counts = [
    `${plural(zones.length, 'zone')} in use`,
    `${formatCount(zonesEmpty)} empty`,
    ...(zonesFailed === 0 ? [] : [`${formatCount(zonesFailed)} read-only or offline`]),
    `${plural(records, 'record')}, ${formatCount(live)} live`,
  ]
  const end = isWhole
    ? `${target} is whole: ${counts.join(', ')}`
    : `${target} is DAMAGED: ${plural(damagedPages, 'page')}; ${counts.join(', ')}`
  return `${table}${problems.join('')}${end}\n`
}

export async function check({ io, target, common }: StoreRun): Promise<void> {
  const { checkStore } = await io.store()
  const progress = new ProgressLine(io)
  let found: StoreCheck
  try {
    found = await checkStore({
      device: target,
      onProgress: (done, total) => progress.share('checking', done, total, 'pages'),
    })
  } catch (error) {
    throw inOtherWords(target, error, READING)
  } finally {
    progress.clear()
  }
  const zones = found.zones.map(zone => {
    const last = zone.lastDeadlineMs
    return { ...zone, lastDeadlineMs: last === Number.POSITIVE_INFINITY ? null : last }
  })
  const text = () => formatCheck(found, target)
  printResult(io, common.json === true, { target, ...found, zones }, text)
  if (!found.isWhole) throw new ExitCode(EXIT_FAILED)
}
