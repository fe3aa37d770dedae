/**
 * `zslab stats [--watch]`: what a device did since it was made, and what it costs.
 *
 * With --watch: on a terminal one screen that is drawn again every second, with rates; elsewhere a block a second, or
 * with --json a line of JSON a second. It ends with Ctrl-C, and when the device goes.
 */
import type { Command } from 'commander'
import type { DeviceStats } from '../daemon/client.js'
import { type CommonOptions, finishVerb, parseDevice } from './arguments.js'
import { ask } from './ask.js'
import type { Io } from './io.js'
import { printJson } from './output.js'
import {
  CONDITION_MARKS,
  formatCount,
  formatFields,
  formatSize,
  formatTable,
  right,
} from './table.js'

const WATCH_MS = 1000
const BUSY_ZONES = 10
/** Lines of a screen that are not busy zones: what is drawn over must not scroll. */
const OTHER_LINES = 23
/** Home, and clear to the end of the screen: what is drawn over is not seen to flicker. */
const REDRAW = '\u001b[H\u001b[J'

type Counters = DeviceStats['counters']

/** A sample and when it was taken, to make rates of. */
interface Sample {
  stats: DeviceStats
  atMs: number
}

function transfers(count: number, bytes: number): string {
  return `${formatCount(count)} (${formatSize(bytes)})`
}

function countersText(counters: Counters): [string, string][] {
  const noSpace =
    counters.noSpace === 0 ? '' : ` (${formatCount(counters.noSpace)} for want of memory)`
  const perTurn = counters.turns === 0 ? 0 : counters.requests / counters.turns
  return [
    ['reads', transfers(counters.reads, counters.readBytes)],
    ['writes', transfers(counters.writes, counters.writeBytes)],
    ['appends', transfers(counters.appends, counters.appendBytes)],
    ['flushes', formatCount(counters.flushes)],
    ['discards', formatCount(counters.discards)],
    ['zone commands', formatCount(counters.zoneCommands)],
    ['zone reports', formatCount(counters.reports)],
    [
      'refused',
      `${formatCount(counters.refused)}${counters.refused > 0 ? ' (`zslab explain` says why)' : ''}`,
    ],
    ['failed', `${formatCount(counters.failed)}${noSpace}`],
    ...(counters.faults > 0
      ? [['by order', `${formatCount(counters.faults)} (\`zslab fault list\`)`] as [string, string]]
      : []),
    ['turns', `${formatCount(counters.turns)}, ${perTurn.toFixed(2)} requests a turn`],
  ]
}

/** Of what is in memory. */
const shrinkage = ({ origBytes, comprBytes, bdCount, pageBytes }: DeviceStats['media']): string =>
  ((origBytes - bdCount * pageBytes) / comprBytes).toFixed(2)

/** As zram's bd_stat; nothing for a device without a tier. */
function tierText(media: DeviceStats['media']): [string, string][] {
  if (media.tierSlots === 0) return []
  const { bdCount, bdBytes, bdReads, bdWrites, tierSlots, tierSlotsUsed } = media
  const traffic = `${formatCount(bdReads)} read, ${formatCount(bdWrites)} written`
  const slots = `${tierSlotsUsed} of ${tierSlots} slots`
  return [['bd count', `${transfers(bdCount, bdBytes)} in the tier, ${traffic}; ${slots}`]]
}

/** In zram's words, which people who look for these numbers know. */
function mediaText({ media }: DeviceStats): [string, string][] {
  const pages = (count: number) => transfers(count, count * media.pageBytes)
  const ratio = media.comprBytes === 0 ? '' : ` (1 : ${shrinkage(media)})`
  const spare = media.spareBytes === 0 ? '' : `, ${formatSize(media.spareBytes)} of it spare`
  const limit =
    media.memoryLimitBytes === 0 ? '' : `, of at most ${formatSize(media.memoryLimitBytes)}`
  return [
    ['orig data', formatSize(media.origBytes)],
    ['compr data', `${formatSize(media.comprBytes)}${ratio}`],
    ['mem used', `${formatSize(media.memoryBytes)}${spare}${limit}`],
    ['same pages', `${pages(media.sameFillPages)} that need no memory`],
    ['compr pages', pages(media.compressedPages)],
    ['huge pages', `${pages(media.rawPages)} stored as they are`],
    ...tierText(media),
  ]
}

function zonesText({ zones }: DeviceStats): string {
  const conditions = Object.keys(CONDITION_MARKS) as (keyof typeof CONDITION_MARKS)[]
  const present = conditions.filter(condition => zones[condition] > 0)
  return present.map(condition => `${zones[condition]} ${condition}`).join(', ')
}

/** Zones with the most written, as a table; empty when nothing was ever written or reset. */
function busyZones({ perZone }: DeviceStats, count: number): string {
  const busy = perZone.filter(({ writes, resets }) => writes > 0 || resets > 0)
  if (busy.length === 0 || count < 1) return ''
  const most = [...busy].sort((a, b) => b.writtenBytes - a.writtenBytes || a.zone - b.zone)
  const rows = most
    .slice(0, count)
    .map(zone => [
      String(zone.zone),
      formatCount(zone.writes),
      formatSize(zone.writtenBytes),
      formatCount(zone.resets),
      formatSize(zone.origBytes),
      formatSize(zone.comprBytes),
      formatSize(zone.memoryBytes),
      formatSize(zone.bdBytes),
    ])
  const note = busy.length > count ? `and ${busy.length - count} more (--json has all)\n` : ''
  const names = ['ZONE', 'WRITES', 'WRITTEN', 'RESETS', 'ORIG', 'COMPR', 'MEM', 'TIER']
  const columns = names.map(name => right(name))
  return `\n${formatTable(columns, rows)}${note}`
}

function rates(now: Sample, before: Sample): string {
  const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1000)
  const rate = (key: keyof Counters): number =>
    (now.stats.counters[key] - before.stats.counters[key]) / seconds
  const writes = rate('writes') + rate('appends')
  const written = rate('writeBytes') + rate('appendBytes')
  return [
    `reads ${formatCount(Math.round(rate('reads')))}/s (${formatSize(Math.round(rate('readBytes')))}/s)`,
    `writes ${formatCount(Math.round(writes))}/s (${formatSize(Math.round(written))}/s)`,
  ].join(', ')
}

/** One sample as people read it; with the sample before it, also the rates between them. At most `rows` lines, if that can be. */
export function formatStats(
  now: Sample,
  before: Sample | null,
  rows: number = Number.POSITIVE_INFINITY,
): string {
  const { stats } = now
  const others = OTHER_LINES + tierText(stats.media).length
  const count = Math.min(BUSY_ZONES, rows - others)
  const head = `${stats.device.path}  ${stats.device.state}, ${zonesText(stats)}\n`
  const rate = before === null ? '' : `now  ${rates(now, before)}\n`
  const fields = formatFields([...countersText(stats.counters), ...mediaText(stats)])
  return `${head}${rate}\n${fields}${busyZones(stats, count)}`
}

async function stats(
  io: Io,
  dev: string,
  options: CommonOptions & { watch?: boolean },
): Promise<void> {
  const id = parseDevice(dev)
  const json = options.json === true
  const redraw = options.watch === true && io.outIsTerminal && !json
  let before: Sample | null = null
  for (;;) {
    const gap = before === null ? '' : '\n'
    const now: Sample = { stats: await ask(io, 'stats', { id }), atMs: io.nowMs() }
    if (json) printJson(io, now.stats)
    else io.out(`${redraw ? REDRAW : gap}${formatStats(now, before, redraw ? io.rows : undefined)}`)
    if (options.watch !== true || !(await io.wait(WATCH_MS))) return
    before = now
  }
}

export function registerStats(command: Command, io: Io): void {
  command
    .argument('<DEV>', 'number or path')
    .option('--watch', 'again every second, until Ctrl-C')
    .action((dev, options) => stats(io, dev, options))
  finishVerb(command, [
    'zslab stats 0',
    'zslab stats 0 --watch',
    "zslab stats 0 --watch --json | jq -c '.counters.writeBytes'",
  ])
}
