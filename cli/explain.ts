/**
 * `zslab explain`: the last refused I/Os, told as sentences.
 *
 * A program only sees EIO, EOVERFLOW or ETOOMANYREFS. The daemon knows the request, the zone before it, and the rule.
 */
import type { Command } from 'commander'
import type { Refusal } from '../daemon/client.js'
import { type CommonOptions, finishVerb, parseDevice, parseInteger } from './arguments.js'
import { ask } from './ask.js'
import type { Io } from './io.js'
import { printResult } from './output.js'
import { plural } from './table.js'

const COUNT_DEFAULT = 10

/** Seconds and less of a time of day, in UTC so that it reads the same everywhere. */
function clockTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(11, 23)}Z`
}

function request(refusal: Refusal): string {
  const { op, sectors, startSector, zone, offsetSectors } = refusal
  const amount = sectors > 0 ? ` of ${plural(sectors, 'sector')}` : ''
  return `${op}${amount} at sector ${startSector}, which is offset ${offsetSectors} of zone ${zone}`
}

function before(refusal: Refusal): string {
  const { condition, writePointerSectors } = refusal.before
  const hasPointer = ['empty', 'implicit-open', 'explicit-open', 'closed'].includes(condition)
  const pointer = hasPointer ? `, its write pointer at offset ${writePointerSectors}` : ''
  return `zone ${refusal.zone} was ${condition}${pointer}`
}

/** One refusal in five lines. */
function formatRefusal(refusal: Refusal): string {
  const status = `0x${refusal.status.toString(16)}`
  const nvme = refusal.fault === null ? `NVMe status ${status} ${refusal.statusName}; ` : ''
  return [
    `#${refusal.sequence}  ${clockTime(refusal.timeMs)}  queue ${refusal.queue}`,
    `  came:    ${request(refusal)}`,
    `  before:  ${before(refusal)}`,
    `  refused: ${refusal.rule}`,
    `           ${nvme}the program got ${refusal.errno}`,
    `  to do:   ${refusal.hint}`,
  ].join('\n')
}

/** Refusals, oldest first, so that the newest is where the eye is. */
export function formatRefusals(refusals: readonly Refusal[], path: string): string {
  if (refusals.length === 0) return `${path}: no I/O was refused\n`
  const head = `${path}: the last ${refusals.length === 1 ? 'refused I/O' : `${refusals.length} refused I/Os`}, newest last`
  return `${[head, ...refusals.map(formatRefusal)].join('\n\n')}\n`
}

async function explain(
  io: Io,
  dev: string,
  options: CommonOptions & { count?: string },
): Promise<void> {
  const id = parseDevice(dev)
  const { REFUSALS_MAX } = await io.client()
  const count =
    options.count === undefined
      ? COUNT_DEFAULT
      : parseInteger('--count', options.count, 1, REFUSALS_MAX)
  const refusals = await ask(io, 'explain', { id, count })
  printResult(io, options.json === true, refusals, () =>
    formatRefusals(refusals, `/dev/ublkb${id}`),
  )
}

export async function registerExplain(command: Command, io: Io): Promise<void> {
  const { REFUSALS_MAX } = await io.client()
  command
    .argument('<DEV>', 'number or path')
    .option(
      '--count <n>',
      `at most this many (1 to ${REFUSALS_MAX}, which are kept; default: ${COUNT_DEFAULT})`,
    )
    .action((dev, options) => explain(io, dev, options))
  finishVerb(command, ['zslab explain 0', 'zslab explain /dev/ublkb0 --count 1 --json'])
}
