/**
 * `zslab fault add|list|clear`: make a device fail, on purpose and repeatably.
 *
 * The rules stand with the device (daemon/fault-rules.ts), not with the daemon: they survive its death.
 */
import type { Command } from 'commander'
import type { FaultInfo, FaultOp, FaultOrder } from '../daemon/client.js'
import {
  type CommonOptions,
  finishVerb,
  parseChoice,
  parseDevice,
  parseInteger,
} from './arguments.js'
import { ask } from './ask.js'
import type { ClientModule, Io } from './io.js'
import { printResult, UsageError } from './output.js'
import { formatTable, left, plural, right } from './table.js'

interface AddOptions extends CommonOptions {
  op?: string
  zone?: string
  nth?: string
  probability?: string
  count?: string
  errno?: string
  delay?: string
  torn?: boolean
  seed?: string
}

const SEED_MAX = 2 ** 32 - 1
const ZONE_MAX = 2 ** 31 - 2

/** "5" or "5-9". */
function parseZones(text: string): { first: number; last: number } {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text)
  const first = Number(match?.[1])
  const last = Number(match?.[2] ?? match?.[1])
  if (match === null || last > ZONE_MAX || first > last) {
    throw new UsageError(`--zone ${text}: expected a zone as 5, or zones from A to B as 5-9`)
  }
  return { first, last }
}

function parseProbability(text: string): number {
  const value = /^(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?$/i.test(text) ? Number(text) : Number.NaN
  if (!(value > 0 && value <= 1)) {
    throw new UsageError(`--probability ${text}: expected a number above 0 and at most 1, as 0.01`)
  }
  return value
}

function parseOrder(options: AddOptions, client: ClientModule): FaultOrder {
  const { FAULT_COUNT_MAX, FAULT_DELAY_MAX_MS, FAULT_ERRNOS, FAULT_OPS_NAMES } = client
  const { op, zone, nth, probability, count, errno, delay, torn, seed } = options
  if (op === undefined) {
    throw new UsageError(`--op is missing: expected one of ${FAULT_OPS_NAMES.join(', ')}`)
  }
  const order: FaultOrder = { op: parseChoice<FaultOp>('--op', op, FAULT_OPS_NAMES) }
  if (zone !== undefined) Object.assign(order, parseZones(zone))
  if (nth !== undefined) order.nth = parseInteger('--nth', nth, 1, FAULT_COUNT_MAX)
  if (probability !== undefined) order.probability = parseProbability(probability)
  if (count !== undefined) order.count = parseInteger('--count', count, 1, FAULT_COUNT_MAX)
  if (errno !== undefined) order.errno = parseChoice('--errno', errno, Object.keys(FAULT_ERRNOS))
  if (delay !== undefined) order.delayMs = parseInteger('--delay', delay, 1, FAULT_DELAY_MAX_MS)
  if (torn === true) order.torn = true
  if (seed !== undefined) order.seed = parseInteger('--seed', seed, 0, SEED_MAX)
  return order
}

/** "write of zones 3-5" */
function requestsOf({ op, zones }: FaultInfo): string {
  const kind = op === 'any' ? 'any request' : op
  if (zones === null) return kind
  const { first, last } = zones
  return first === last ? `${kind} of zone ${first}` : `${kind} of zones ${first}-${last}`
}

/** "every 3rd match, 2 times" without ordinals that must be spelled. */
function whenOf({ nth, probability, count }: FaultInfo): string {
  const which =
    nth !== null
      ? count === 1
        ? `match ${nth}`
        : `every ${nth} matches`
      : probability !== null
        ? `probability ${Number(probability.toPrecision(6))}`
        : 'each'
  if (count === null) return which
  return nth !== null && count === 1 ? which : `${which}, ${plural(count, 'time')}`
}

function effectOf({ errno, delayMs, torn }: FaultInfo): string {
  const parts: string[] = []
  if (delayMs > 0) parts.push(`waits ${delayMs} ms`)
  if (errno !== null) parts.push(torn ? `torn, ${errno}` : errno)
  return parts.join(', then ')
}

export function formatFaults(path: string, faults: readonly FaultInfo[]): string {
  if (faults.length === 0) return `${path}: no faults\n`
  const columns = [
    ...[right('ID'), left('REQUESTS'), left('WHEN'), left('WHAT')],
    ...[right('MATCHED'), right('APPLIED'), left('SEED')],
  ]
  const rows = faults.map(fault => [
    String(fault.id),
    requestsOf(fault),
    whenOf(fault),
    effectOf(fault),
    String(fault.matched),
    fault.spent ? `${fault.applied}, spent` : String(fault.applied),
    String(fault.seed),
  ])
  return formatTable(columns, rows)
}

async function add(io: Io, dev: string, options: AddOptions): Promise<void> {
  const id = parseDevice(dev)
  const fault = await ask(io, 'fault.add', { id, ...parseOrder(options, await io.client()) })
  printResult(io, options.json === true, fault, () => {
    const what = `${requestsOf(fault)}: ${whenOf(fault)}: ${effectOf(fault)}`
    return `/dev/ublkb${id}: fault ${fault.id} added (${what}; seed ${fault.seed})\n`
  })
}

async function list(io: Io, dev: string, options: CommonOptions): Promise<void> {
  const id = parseDevice(dev)
  const faults = await ask(io, 'fault.list', { id })
  printResult(io, options.json === true, faults, () => formatFaults(`/dev/ublkb${id}`, faults))
}

async function clear(
  io: Io,
  dev: string,
  which: string | undefined,
  options: CommonOptions,
): Promise<void> {
  const id = parseDevice(dev)
  const { FAULT_COUNT_MAX } = await io.client()
  const params: { id: number; fault?: number } = { id }
  if (which !== undefined) params.fault = parseInteger('ID', which, 1, FAULT_COUNT_MAX)
  const result = await ask(io, 'fault.clear', params)
  printResult(io, options.json === true, { id, ...result }, () => {
    const { cleared } = result
    return `/dev/ublkb${id}: ${cleared.length === 0 ? 'no faults' : `${plural(cleared.length, 'fault')} cleared (${cleared.join(', ')})`}\n`
  })
}

export async function registerFault(command: Command, io: Io): Promise<void> {
  const { FAULT_ERRNOS, FAULT_OPS_NAMES } = await io.client()
  const adding = command
    .command('add')
    .argument('<DEV>', 'number or path')
    .option('--op <kind>', `requests of this kind (${FAULT_OPS_NAMES.join(', ')})`)
    .option('--zone <N|A-B>', 'only of these zones')
    .option('--nth <k>', 'only the k-th that matches; with --count: every k-th')
    .option('--probability <p>', 'only by lot, above 0 and at most 1')
    .option('--count <m>', 'so many times, then no more (default: 1 with --nth, else without end)')
    .option('--errno <name>', `fail with this (${Object.keys(FAULT_ERRNOS).join(', ')})`)
    .option('--delay <ms>', 'hold it for so many milliseconds first')
    .option('--torn', 'store only the first part of a write or append, then fail (default: EIO)')
    .option('--seed <n>', 'of --probability and --torn (default: random, and printed)')
    .description('add a rule: which requests, when, and what becomes of them')
    .action((dev, options) => add(io, dev, options))
  finishVerb(adding, [
    'zslab fault add 0 --op write --zone 5 --nth 3 --errno EIO',
    'zslab fault add 0 --op read --probability 0.01 --delay 20 --seed 7',
    'zslab fault add 0 --op append --torn --count 1',
  ])
  const listing = command
    .command('list')
    .argument('<DEV>', 'number or path')
    .description('the rules, and how often each matched and was applied')
    .action((dev, options) => list(io, dev, options))
  finishVerb(listing, ['zslab fault list 0', 'zslab fault list 0 --json'])
  const clearing = command
    .command('clear')
    .argument('<DEV>', 'number or path')
    .argument('[ID]', 'of one rule (default: all)')
    .description('take rules back; requests that are held still wait to their end')
    .action((dev, id, options) => clear(io, dev, id, options))
  finishVerb(clearing, ['zslab fault clear 0', 'zslab fault clear 0 3'])
}
