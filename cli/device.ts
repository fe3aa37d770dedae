/**
 * `zslab device create|list|show|delete|recover`.
 *
 * The flags of `create` are made from the daemon's option table, and are checked here before a daemon is started.
 */
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import type { DeviceInfo, OptionSpec } from '../daemon/client.js'
import { type CommonOptions, finishVerb, parseDevice, parseInteger } from './arguments.js'
import { ask, isDaemonRunning } from './ask.js'
import type { ClientModule, Io } from './io.js'
import { printResult } from './output.js'
import { formatFields, formatSize, formatTable, left, plural, right } from './table.js'

function limit(count: number): string {
  return count === 0 ? 'no limit' : String(count)
}

function tierText({ tier, tierAfter, tierBudget }: DeviceInfo): string {
  if (tier === null) return 'none'
  const budget = tierBudget === 0 ? 'no limit' : `${formatSize(tierBudget)}/s`
  return `${tier}, ${budget}, zones are cold after ${tierAfter} s`
}

/** A device in lines of name and value. */
export function formatDevice(device: DeviceInfo): string {
  return formatFields([
    ['path', device.path],
    ['state', device.state],
    ['daemon', device.pid > 0 ? `pid ${device.pid}` : 'none'],
    ['size', formatSize(device.bytes)],
    [
      'zones',
      `${device.zones} of ${formatSize(device.zoneSize)}, ${device.conventional} conventional`,
    ],
    ['zone capacity', formatSize(device.zoneCapacity)],
    ['max open', limit(device.maxOpen)],
    ['max active', limit(device.maxActive)],
    ['max append', formatSize(device.maxAppend)],
    ['block', formatSize(device.blockSize)],
    ['queues', `${device.queues} of depth ${device.depth}`],
    ['recovery', device.recovery ? 'yes' : 'no'],
    ['same-fill', device.sameFill ? 'yes' : 'no'],
    ['compression', device.compression],
    ['memory limit', device.memoryLimit === 0 ? 'none' : formatSize(device.memoryLimit)],
    ['image', device.image ?? 'none: it lives in memory'],
    ['tier', tierText(device)],
    ['latency', device.latency],
    ['profile', device.profile],
  ])
}

/** Devices as a table, or a sentence when there are none. */
export function formatDevices(devices: readonly DeviceInfo[]): string {
  if (devices.length === 0) return 'no devices; `zslab device create` makes one\n'
  const columns = [
    ...[
      left('DEVICE'),
      left('STATE'),
      right('PID'),
      right('SIZE'),
      right('ZONES'),
      right('ZONE SIZE'),
    ],
    ...[right('CAPACITY'), right('OPEN'), right('ACTIVE'), right('QUEUES'), right('DEPTH')],
  ]
  const rows = devices.map(device => [
    device.path,
    device.state,
    device.pid > 0 ? String(device.pid) : '-',
    formatSize(device.bytes),
    String(device.zones),
    formatSize(device.zoneSize),
    formatSize(device.zoneCapacity),
    limit(device.maxOpen),
    limit(device.maxActive),
    String(device.queues),
    String(device.depth),
  ])
  return formatTable(columns, rows)
}

function describe(spec: OptionSpec, client: ClientModule): string {
  const range = client.optionRange(spec)
  const value = spec.type === 'bytes' ? client.formatBytes(Number(spec.default)) : spec.default
  const otherwise = spec.default === null ? '' : `; default ${value}`
  return `${spec.doc} (${range}${otherwise})`
}

const PLACEHOLDERS = { integer: 'n', bytes: 'size', choice: 'name', path: 'path' } as const

/** A flag for each row of the option table. Values stay as they were typed: the table's own parser checks them. */
function addTableOptions(command: Command, client: ClientModule): void {
  for (const spec of client.DEVICE_OPTIONS) {
    if (spec.type === 'boolean') {
      // The help shows the form that changes something.
      const yes = new Option(`--${spec.flag}`, spec.doc)
      const no = new Option(`--no-${spec.flag}`, `do not: ${spec.doc}`)
      command.addOption(yes.hideHelp(spec.default === true))
      command.addOption(no.hideHelp(spec.default === false))
      continue
    }
    command.addOption(
      new Option(`--${spec.flag} <${PLACEHOLDERS[spec.type]}>`, describe(spec, client)),
    )
  }
}

/** What was given on the command line, as the daemon takes it. */
function givenOptions(
  options: Readonly<Record<string, unknown>>,
  client: ClientModule,
): Record<string, unknown> {
  const given: Record<string, unknown> = {}
  for (const { key, type } of client.DEVICE_OPTIONS) {
    const value = options[key]
    if (value === undefined) continue
    given[key] = type === 'path' ? resolve(String(value)) : value
  }
  client.resolveOptions(given)
  return given
}

async function create(io: Io, options: CommonOptions & Record<string, unknown>): Promise<void> {
  const client = await io.client()
  const given = givenOptions(options, client)
  await client.ensureDaemon()
  const device = await client.request('device.create', given)
  printResult(io, options.json === true, device, () => `${device.path}\n`)
}

async function list(io: Io, options: CommonOptions): Promise<void> {
  const client = await io.client()
  let devices: DeviceInfo[] = []
  try {
    devices = await ask(io, 'device.list', {})
  } catch (error) {
    // Without a daemon and without anything left by one, the list is empty: that is an answer.
    const isDown = error instanceof client.DaemonError && error.code === 'DAEMON_ERR_NOT_RUNNING'
    if (!isDown || (await isDaemonRunning(client))) throw error
  }
  printResult(io, options.json === true, devices, () => formatDevices(devices))
}

async function show(io: Io, id: number, options: CommonOptions): Promise<void> {
  const device = await ask(io, 'device.show', { id })
  printResult(io, options.json === true, device, () => formatDevice(device))
}

async function remove(
  io: Io,
  id: number,
  options: CommonOptions & { force?: boolean },
): Promise<void> {
  const params = options.force === true ? { id, force: true } : { id }
  const result = await ask(io, 'device.delete', params)
  printResult(io, options.json === true, result, () => {
    const rest = result.image === null ? '' : `; the drive stays in ${result.image}`
    return `/dev/ublkb${id} deleted${rest}\n`
  })
}

/**
 * A daemon that starts recovers what it finds, so that one started for this has done it already. Asking once more would be
 * answered with "there is nothing to recover".
 */
async function recover(io: Io, id: number, options: CommonOptions): Promise<void> {
  const client = await io.client()
  const wasRunning = await isDaemonRunning(client)
  await client.ensureDaemon()
  const { pid } = await client.request('ping', {})
  const found = wasRunning ? null : await client.request('device.show', { id })
  const isDone = found?.state === 'live' && found.pid === pid
  const device = isDone ? found : await client.request('device.recover', { id })
  const text = (): string => `${device.path} recovered, served by pid ${device.pid}\n`
  printResult(io, options.json === true, device, text)
}

interface PowerCutOptions extends CommonOptions {
  seed?: string
}

async function powerCut(io: Io, id: number, options: PowerCutOptions): Promise<void> {
  const params: { id: number; seed?: number } = { id }
  if (options.seed !== undefined) params.seed = parseInteger('--seed', options.seed, 0, 2 ** 32 - 1)
  const result = await ask(io, 'device.power-cut', params)
  printResult(io, options.json === true, result, () => {
    const { lost, seed, state, user } = result
    const what =
      lost === null
        ? ''
        : `${formatSize(lost.bytes)} of ${plural(lost.zones, 'zone')} lost, seed ${seed}\n`
    return state === 'live'
      ? `/dev/ublkb${id} is back\n${what}`
      : `power is off: /dev/ublkb${id} is ${user}, and comes back when that lets go of it\n${what}`
  })
}

/** The flags of `create` need the option table, which is loaded with the client. */
export async function registerDevice(command: Command, io: Io): Promise<void> {
  const client = await io.client()
  const creation = command
    .command('create')
    .description('make a device and print its path; starts the daemon if none runs')
    .action(options => create(io, options))
  addTableOptions(creation, client)
  finishVerb(creation, [
    'zslab device create',
    'zslab device create --zones 32 --zone-size 256M --zone-capacity 192M',
    'zslab device create --conventional 4 --max-open 6 --max-active 8 --queues 2',
    'zslab device create --profile zn540 --json',
  ])
  const listing = command
    .command('list')
    .description('all devices, those of dead daemons too')
    .action(options => list(io, options))
  finishVerb(listing, ['zslab device list', "zslab device list --json | jq -r '.[].path'"])
  const showing = command
    .command('show')
    .argument('<DEV>', 'number or path')
    .description('one device: state, daemon, geometry, limits')
    .action((dev, options) => show(io, parseDevice(dev), options))
  finishVerb(showing, ['zslab device show 0', 'zslab device show /dev/ublkb0 --json'])
  const deletion = command
    .command('delete')
    .argument('<DEV>', 'number or path')
    .option('--force', 'even when it is mounted or held: those who use it get I/O errors')
    .description('delete a device and all that is on it; a drive in an image stays there')
    .action((dev, options) => remove(io, parseDevice(dev), options))
  finishVerb(deletion, ['zslab device delete 0', 'zslab device delete /dev/ublkb0 --force'])
  const cut = command
    .command('power-cut')
    .argument('<DEV>', 'number or path')
    .option(
      '--seed <n>',
      'in memory: how much of what was not flushed goes (default: random, and printed)',
    )
    .description('take the power away and give it back: what was not flushed is gone')
    .action((dev, options) => powerCut(io, parseDevice(dev), options))
  finishVerb(cut, ['zslab device power-cut 0', 'zslab device power-cut 0 --seed 7'])
  const recovery = command
    .command('recover')
    .argument('<DEV>', 'number or path')
    .description('serve a device again whose daemon died: nothing acknowledged is lost')
    .action((dev, options) => recover(io, parseDevice(dev), options))
  finishVerb(recovery, ['zslab device recover 0'])
}
