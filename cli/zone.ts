/**
 * `zslab zone report|open|close|finish|reset|read-only|offline`.
 *
 * Open, close, finish and reset go to the block device by ioctl, from this process and never from the daemon, so that the
 * kernel's page cache and its own write pointers stay true. `read-only` and `offline` have no ioctl: the daemon does
 * them. `--all` means what
 * NVMe's Select All means: the zones in a condition on which the command acts, and no other.
 */
import type { Command } from 'commander'
import type { DeviceInfo, ZoneCondition, ZoneInfo, ZoneReport } from '../daemon/client.js'
import {
  type CommonOptions,
  finishVerb,
  parseChoice,
  parseDevice,
  parseInteger,
} from './arguments.js'
import { ask } from './ask.js'
import type { Io } from './io.js'
import { printResult, UsageError } from './output.js'
import {
  CONDITION_MARKS,
  fillBar,
  formatSize,
  formatTable,
  left,
  plural,
  right,
  zoneMap,
} from './table.js'

const SECTOR_BYTES = 512
const CONDITIONS = Object.keys(CONDITION_MARKS) as ZoneCondition[]

type ZoneVerb = 'open' | 'close' | 'finish' | 'reset' | 'read-only' | 'offline'

/** The conditions on which a command with Select All acts (NVMe ZNS, Zone Management Send). */
const SELECT_ALL: Readonly<Record<ZoneVerb, readonly ZoneCondition[]>> = {
  open: ['closed'],
  close: ['implicit-open', 'explicit-open'],
  finish: ['implicit-open', 'explicit-open', 'closed'],
  reset: ['implicit-open', 'explicit-open', 'closed', 'full'],
  'read-only': ['empty', 'implicit-open', 'explicit-open', 'closed', 'full'],
  offline: ['read-only'],
}

function zoneRow(zone: ZoneInfo): string[] {
  return [
    String(zone.zone),
    zone.type === 'conventional' ? 'conv' : 'seq',
    zone.condition,
    String(zone.startSector),
    zone.writePointerSector === null ? '-' : String(zone.writePointerSector - zone.startSector),
    String(zone.capacitySectors),
    zone.type === 'conventional' ? '' : fillBar(zone.fill),
    zone.resets === 0 ? '' : String(zone.resets),
  ]
}

function summary(report: ZoneReport): string {
  const { device, zones } = report
  const counts = CONDITIONS.map(condition => ({
    condition,
    count: zones.filter(zone => zone.condition === condition).length,
  }))
  const parts = counts
    .filter(({ count }) => count > 0)
    .map(({ condition, count }) => `${count} ${condition}`)
  const open = device.maxOpen === 0 ? 'no limit' : `of ${device.maxOpen}`
  const active = device.maxActive === 0 ? 'no limit' : `of ${device.maxActive}`
  const shown =
    zones.length === device.zones
      ? plural(zones.length, 'zone')
      : `${zones.length} of ${device.zones} zones`
  return [
    `${shown}: ${parts.length === 0 ? 'none matches' : parts.join(', ')}`,
    `open ${report.openZones} (${open}), active ${report.activeZones} (${active})`,
  ].join('; ')
}

/** A report as people read it. WP and capacity are sectors from the zone's start, START is a sector of the device. */
export function formatReport(report: ZoneReport): string {
  const { device, zones } = report
  const head = `${device.path}: ${plural(device.zones, 'zone')} of ${formatSize(device.zoneSize)}, capacity ${formatSize(device.zoneCapacity)} (sectors of 512 B; WP from the zone's start)\n`
  const columns = [
    ...[right('ZONE'), left('TYPE'), left('CONDITION'), right('START'), right('WP')],
    ...[right('CAPACITY'), left('WRITTEN'), right('RESETS')],
  ]
  const table =
    zones.length === 0 ? '' : `${formatTable(columns, zones.map(zoneRow))}${zoneMap(zones)}`
  return `${head}${table}${summary(report)}\n`
}

interface ReportOptions extends CommonOptions {
  condition?: string
  first?: string
  count?: string
}

async function report(io: Io, dev: string, options: ReportOptions): Promise<void> {
  const params: { id: number; first?: number; count?: number; condition?: ZoneCondition } = {
    id: parseDevice(dev),
  }
  const most = Number.MAX_SAFE_INTEGER
  if (options.first !== undefined) params.first = parseInteger('--first', options.first, 0, most)
  if (options.count !== undefined) params.count = parseInteger('--count', options.count, 1, most)
  if (options.condition !== undefined) {
    params.condition = parseChoice('--condition', options.condition, CONDITIONS)
  }
  const result = await ask(io, 'zone.report', params)
  printResult(io, options.json === true, result, () => formatReport(result))
}

/** Neighbouring zones as one range, so that a command over all zones is few calls. */
export function toRanges(zones: readonly number[]): { first: number; count: number }[] {
  const ranges: { first: number; count: number }[] = []
  for (const zone of zones) {
    const last = ranges.at(-1)
    if (last !== undefined && last.first + last.count === zone) last.count++
    else ranges.push({ first: zone, count: 1 })
  }
  return ranges
}

interface Selection {
  device: DeviceInfo
  ranges: { first: number; count: number }[]
}

async function selectAll(io: Io, id: number, verb: ZoneVerb): Promise<Selection> {
  const { device, zones } = await ask(io, 'zone.report', { id })
  const chosen = zones.filter(zone => SELECT_ALL[verb].includes(zone.condition))
  // One RESET_ALL instead of a reset for each zone, where it means the same.
  const wholeDevice = zones.every(
    ({ type, condition }) =>
      type === 'sequential' && condition !== 'read-only' && condition !== 'offline',
  )
  if (verb === 'reset' && chosen.length > 0 && wholeDevice) {
    return { device, ranges: [{ first: 0, count: device.zones }] }
  }
  return { device, ranges: toRanges(chosen.map(({ zone }) => zone)) }
}

async function selectRange(io: Io, id: number, first: string, count: string): Promise<Selection> {
  const device = await ask(io, 'device.show', { id })
  const from = parseInteger('FIRST', first, 0, device.zones - 1)
  const many = parseInteger('COUNT', count, 1, device.zones - from)
  return { device, ranges: [{ first: from, count: many }] }
}

interface CommandOptions extends CommonOptions {
  all?: boolean
}

/** What was typed after the verb. Checked before anything is asked. */
interface CommandArguments {
  dev: string
  first: string | undefined
  count: string | undefined
}

async function change(
  io: Io,
  verb: ZoneVerb,
  { dev, first, count }: CommandArguments,
  options: CommandOptions,
): Promise<void> {
  const id = parseDevice(dev)
  if (options.all === true && first !== undefined) {
    throw new UsageError(`FIRST ${first} with --all: give one of them`)
  }
  if (options.all !== true && first === undefined) {
    throw new UsageError('FIRST is missing: give the number of the first zone, or --all')
  }
  const { device, ranges } =
    first === undefined
      ? await selectAll(io, id, verb)
      : await selectRange(io, id, first, count ?? '1')
  const client = await io.client()
  const zoneSectors = device.zoneSize / SECTOR_BYTES
  for (const range of ranges) {
    if (verb === 'offline' || verb === 'read-only') {
      try {
        await client.request(`zone.${verb}`, { id, ...range })
      } finally {
        // The kernel does not know yet: a zone report tells it, also of those before one that was refused.
        await client.refreshKernelZones(device.path, range.first * zoneSectors, range.count)
      }
    } else {
      const startSector = range.first * zoneSectors
      await client.zoneCommand(device.path, verb, startSector, range.count * zoneSectors)
    }
  }
  const zones = ranges.reduce((sum, range) => sum + range.count, 0)
  const value = { id, path: device.path, operation: verb, zones, ranges }
  const which = ranges.map(
    range => `${range.first}${range.count > 1 ? `-${range.first + range.count - 1}` : ''}`,
  )
  const text = (): string =>
    zones === 0
      ? `${device.path}: no zone is ${SELECT_ALL[verb].join(' or ')}, nothing to ${verb}\n`
      : `${device.path}: ${verb} of ${plural(zones, 'zone')} done (${which.join(', ')})\n`
  printResult(io, options.json === true, value, text)
}

const SUMMARIES: Readonly<Record<ZoneVerb, string>> = {
  open: 'open zones explicitly: they stay open until closed, finished or reset',
  close: 'close open zones: they no longer count as open, but stay active',
  finish: 'make zones full, without writing what is left of them',
  reset: 'make zones empty: what is in them is gone',
  'read-only': 'make zones read-only for ever, as a failing drive does: writes to them fail',
  offline: 'take zones offline for ever, as a failing drive does: all I/O to them fails',
}

export function registerZone(command: Command, io: Io): void {
  const reporting = command
    .command('report')
    .argument('<DEV>', 'number or path')
    .option('--condition <name>', `only zones that are so (${CONDITIONS.join(', ')})`)
    .option('--first <n>', 'begin with this zone')
    .option('--count <n>', 'at most this many zones')
    .description('the zones: type, condition, start, write pointer, capacity, how full')
    .action((dev, options) => report(io, dev, options))
  finishVerb(reporting, [
    'zslab zone report 0',
    'zslab zone report 0 --condition full --count 5',
    "zslab zone report 0 --json | jq '.zones[] | select(.fill > 0.5) | .zone'",
  ])
  for (const verb of Object.keys(SUMMARIES) as ZoneVerb[]) {
    const changing = command
      .command(verb)
      .argument('<DEV>', 'number or path')
      .argument('[FIRST]', 'number of the first zone')
      .argument('[COUNT]', 'how many zones (default: 1)')
      .option('--all', `all zones that are ${SELECT_ALL[verb].join(', ')}`)
      .description(SUMMARIES[verb])
      .action((dev, first, count, options) => change(io, verb, { dev, first, count }, options))
    finishVerb(changing, [`zslab zone ${verb} 0 3 2`, `zslab zone ${verb} 0 --all`])
  }
}
