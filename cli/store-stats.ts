/**
 * `zslab store stats`, and the report at the end of `fill`: what a store holds and what that costs.
 */
import type {
  MemoryLedger,
  RecoveryReport,
  StoreStats,
  WriteAmplification,
} from '../store/index.js'
import { printResult } from './output.js'
import type { StoreRun } from './store-objects.js'
import { withStore } from './store-target.js'
import { formatCount, formatFields, formatSize, plural } from './table.js'

type Field = [string, string]

function share(part: number, whole: number): string {
  return whole === 0 ? '' : ` (${((part / whole) * 100).toFixed(1)} %)`
}

const CAUSES: readonly (readonly [keyof WriteAmplification, string])[] = [
  ['payloadBytes', 'keys and values'],
  ['paddingBytes', 'slab headers, free room'],
  ['headerBytes', 'zone headers'],
  ['indexBytes', 'indexes'],
  ['markBytes', 'marks of dead records'],
  ['reinsertedBytes', 'moved at eviction'],
]

/** Bytes that went to the device, by cause; nothing when none did. */
export function writeFields(writes: WriteAmplification): Field[] {
  if (writes.deviceBytes === 0) return []
  const causes = CAUSES.filter(([key]) => writes[key] > 0).map(([key, name]): Field => {
    const bytes = writes[key]
    return [`  ${name}`, `${formatSize(bytes)}${share(bytes, writes.deviceBytes)}`]
  })
  const total = `${formatSize(writes.deviceBytes)}, ${writes.factor.toFixed(4)} × keys and values`
  return [['written', total], ...causes]
}

const COMPONENTS: readonly (readonly [keyof MemoryLedger, string])[] = [
  ['index', 'index'],
  ['zones', 'zone table'],
  ['writers', 'open zones'],
  ['marks', 'marks'],
  ['cache', 'cache'],
  ['heat', 'heat of keys'],
  ['drive', 'drive'],
]

/** With fewer, what an index has to begin with says nothing of what an object costs. */
const PER_OBJECT_MIN = 10_000

export function memoryFields({ memory, objects }: StoreStats): Field[] {
  const each = (bytes: number) =>
    objects < PER_OBJECT_MIN ? '' : `, ${(bytes / objects).toFixed(2)} bytes an object`
  const parts = COMPONENTS.filter(([key]) => memory[key] > 0).map(([key, name]): Field => {
    const bytes = memory[key]
    return [`  ${name}`, `${formatSize(bytes)}${key === 'index' ? each(bytes) : ''}`]
  })
  return [['memory', formatSize(memory.total)], ...parts]
}

/** Of all zones. */
export function zonesField({ zones }: StoreStats): Field {
  const { total, free, open, sealed } = zones
  return [
    'zones',
    `${formatCount(total)}: ${open} open, ${formatCount(sealed)} sealed, ${formatCount(free)} free`,
  ]
}

export function dropFields({ drops, objectsLost, objectsMoved }: StoreStats): Field[] {
  const causes = Object.entries(drops).filter(([, count]) => count > 0)
  const counts = [
    ['lost', objectsLost],
    ['moved', objectsMoved],
  ] as const
  const lost = counts.flatMap(([name, count]): Field[] =>
    count === 0 ? [] : [[name, plural(count, 'object')]],
  )
  if (causes.length === 0) return lost
  const text = causes.map(([cause, count]) => `${formatCount(count)} ${cause}`).join(', ')
  return [['zones taken back', text], ...lost]
}

function recoveryFields(report: RecoveryReport): Field[] {
  const { zonesExpired, groupsLost, zonesFailed } = report
  const parts = [
    ...(zonesExpired > 0 ? [`${plural(zonesExpired, 'expired zone')} reset`] : []),
    ...(groupsLost > 0 ? [`${plural(groupsLost, 'damaged index')} (zslab store check)`] : []),
    ...(zonesFailed > 0 ? [`${plural(zonesFailed, 'zone')} read-only or offline`] : []),
  ]
  const read = plural(report.pagesRead, 'page')
  return [['start', [`${read} read`, ...parts].join(', ')]]
}

export function formatStoreStats(
  stats: StoreStats,
  report: RecoveryReport,
  heldBytes: number,
): string {
  return formatFields([
    ['objects', formatCount(stats.objects)],
    ['space', `${formatSize(heldBytes)} in zones in use`],
    zonesField(stats),
    ...recoveryFields(report),
    ...dropFields(stats),
    ...writeFields(stats.writes),
    ...memoryFields(stats),
  ])
}

export async function stats({ io, target, values, common }: StoreRun): Promise<void> {
  const found = await withStore(io, target, values, { mayMake: false }, store => {
    const pages = store.zones().reduce((sum, zone) => sum + zone.pages, 0)
    return Promise.resolve({
      stats: store.stats(),
      recovery: store.recovery,
      heldBytes: pages * 4096,
    })
  })
  const result = { ...found.stats, heldBytes: found.heldBytes, recovery: found.recovery }
  const text = () => formatStoreStats(found.stats, found.recovery, found.heldBytes)
  printResult(io, common.json === true, result, text)
}
