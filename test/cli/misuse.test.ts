/**
 * Command lines that are wrong: exit code 2, nothing on stdout, and a message with the argument, its value and what is
 * allowed. And no daemon: exit code 1 and what to do.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { FakeDaemon, zslab } from './fake-daemon.js'
import { device } from './samples.js'

let daemon: FakeDaemon

beforeEach(async () => {
  daemon = new FakeDaemon()
  daemon.answers = { 'device.show': () => device }
  await daemon.listen()
})

afterEach(() => daemon.close())

const MISUSES: [string[], string][] = [
  [['frobnicate'], "unknown command 'frobnicate'"],
  [['device', 'crate'], "unknown command 'crate' (Did you mean create?)"],
  [['device', 'create', '--zonez', '1'], "unknown option '--zonez' (Did you mean --zones?)"],
  [['device', 'create', '--zones'], "option '--zones <n>' argument missing"],
  [['device', 'create', '--zones', '1'], '--zones 1: expected a whole number from 2 to 16384'],
  [['device', 'create', '--zones', 'x'], '--zones x: expected a whole number from 2 to 16384'],
  [['device', 'create', '--zone-size', '1K'], '--zone-size 1K: expected a size from 64K to 32G'],
  [['device', 'create', '--profile', 'x'], '--profile x: expected one of default, zn540, smr'],
  [['device', 'show'], "missing required argument 'DEV'"],
  [['device', 'show', 'sda'], 'DEV sda: expected a number as 0, or a device as /dev/ublkb0'],
  [['device', 'show', '0', '1'], 'too many arguments'],
  [['zone', 'reset', '0'], 'FIRST is missing: give the number of the first zone, or --all'],
  [['zone', 'reset', '0', '1', '--all'], 'FIRST 1 with --all: give one of them'],
  [['zone', 'reset', '0', '8'], 'FIRST 8: expected a whole number from 0 to 7'],
  [['zone', 'reset', '0', '6', '3'], 'COUNT 3: expected a whole number from 1 to 2'],
  [['zone', 'reset', '0', '-x'], "unknown option '-x'"],
  [['zone', 'report', '0', '--count', '0'], '--count 0: expected a whole number from 1 to'],
  [
    ['zone', 'report', '0', '--condition', 'fill'],
    '--condition fill: expected one of conventional, empty',
  ],
  [['fault', 'add', '0', '--errno', 'EIO'], '--op is missing: expected one of read, write, append'],
  [['fault', 'add', '0', '--op', 'trim'], '--op trim: expected one of read, write, append'],
  [['fault', 'add', '0', '--op', 'read', '--errno', 'EPERM'], '--errno EPERM: expected one of EIO'],
  [['fault', 'add', '0', '--op', 'read', '--zone', '3-'], '--zone 3-: expected a zone as 5, or'],
  [['fault', 'add', '0', '--op', 'read', '--zone', '4-3'], '--zone 4-3: expected a zone as 5, or'],
  [['fault', 'add', '0', '--op', 'read', '--nth', '0'], '--nth 0: expected a whole number from 1'],
  [
    ['fault', 'add', '0', '--op', 'read', '--probability', '1.5'],
    '--probability 1.5: expected a number above 0 and at most 1',
  ],
  [
    ['fault', 'add', '0', '--op', 'read', '--delay', '1s'],
    '--delay 1s: expected a whole number from 1 to 3600000',
  ],
  [
    ['device', 'power-cut', '0', '--seed', '-1'],
    '--seed -1: expected a whole number from 0 to 4294967295',
  ],
  [['fault', 'clear', '0', 'all'], 'ID all: expected a whole number from 1 to'],
  [['zone', 'read-only', '0'], 'FIRST is missing: give the number of the first zone, or --all'],
  [['explain', '0', '--count', '-1'], '--count -1: expected a whole number from 1 to 64'],
  [['trace', 'record', 'sda'], 'DEV sda: expected a number as 0, or a device as /dev/ublkb0'],
  [['trace', 'record', '0', '--count', '0'], '--count 0: expected a whole number from 1 to'],
  [['trace', 'record', '0', '--seconds', '1.5'], '--seconds 1.5: expected a whole number from 1'],
  [['trace', 'replay', '0'], "missing required argument 'FILE'"],
  [['trace', 'replay', '0', 'x', '--speed', '0'], '--speed 0: expected max, or a number above 0'],
  [['trace', 'replay', '0', 'x', '--speed', 'fast'], '--speed fast: expected max, or a number'],
  [
    ['trace', 'replay', '0', 'x', '--depth', '65'],
    '--depth 65: expected a whole number from 1 to 64',
  ],
  [['trace', 'replay', '0', 'x', '--seed', '-1'], '--seed -1: expected a whole number from 0'],
  [['start', '--tour', '--shell'], '--tour with --shell: give one of them'],
  [['start', '--shell'], '--shell needs a terminal'],
]

it.each(MISUSES)('%j is misuse', async (argv, message) => {
  const { code, out, err } = await zslab(argv)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toMatch(/^zslab: /)
  expect(err).toContain(message)
  expect(err).toMatch(/\n {2}next: zslab .*--help\n$/)
  // Whatever is wrong is known before anything is changed.
  expect(daemon.asked.every(({ verb }) => verb === 'device.show')).toBe(true)
})

it.each(MISUSES)('%j with --json is misuse in JSON', async (argv, message) => {
  const { code, out, err } = await zslab([...argv, '--json'])
  expect({ code, out }).toEqual({ code: 2, out: '' })
  // Where a value is missing, --json is taken for it.
  if (argv.at(-1) === '--zones') return
  const { error } = JSON.parse(err) as { error: { code: string; message: string } }
  expect(error.message).toContain(message)
  expect(error.code).toMatch(/^(CLI_ERR_USAGE|DAEMON_ERR_OPTION)$/)
})

it('nothing at all shows the help, as an error', async () => {
  for (const argv of [[], ['device'], ['zone'], ['fault']]) {
    const { code, out, err } = await zslab(argv)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain('Usage: zslab')
  }
})

it('help is on stdout and is no error', async () => {
  for (const argv of [['--help'], ['device', 'create', '--help'], ['help', 'zone', 'reset']]) {
    const { code, out, err } = await zslab(argv)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('Usage: zslab')
  }
})

it('every verb has examples in its help', async () => {
  const groups: Record<string, string[]> = {
    device: ['create', 'list', 'show', 'delete', 'recover'],
    zone: ['report', 'open', 'close', 'finish', 'reset', 'offline'],
    image: ['check', 'repair', 'snapshot', 'clone'],
  }
  const verbs = ['start', 'doctor', 'explain', 'stats', 'daemon', 'vm'].map(verb => [verb])
  for (const [group, names] of Object.entries(groups))
    verbs.push(...names.map(name => [group, name]))
  for (const argv of verbs) {
    const { code, out } = await zslab([...argv, '--help'])
    expect({ argv, code }).toEqual({ argv, code: 0 })
    expect(out, argv.join(' ')).toContain(`Examples:\n  $ `)
    expect(out, argv.join(' ')).toContain(`zslab ${argv.join(' ')}`)
    expect(out, argv.join(' ')).toContain('--json')
  }
})

it('without a daemon says how to get one', async () => {
  process.env['ZSLAB_SOCKET'] = join(daemon.folder, 'nobody.sock')
  const { code, out, err } = await zslab(['device', 'show', '0'])
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toContain('no daemon answers on ')
  expect(err).toContain('`zslab device create`')
})

it('without a daemon and without orphans there are no devices', async () => {
  process.env['ZSLAB_SOCKET'] = join(daemon.folder, 'nobody.sock')
  expect(await zslab(['device', 'list', '--json'])).toMatchObject({ code: 0, out: '[]\n', err: '' })
})

it('starts a daemon to ask about what a dead one left', async () => {
  const path = process.env['ZSLAB_SOCKET']!
  mkdirSync(join(daemon.folder, 'state', '0'), { recursive: true })
  process.env['ZSLAB_SOCKET'] = join(daemon.folder, 'nobody.sock')
  const client = await import('../../daemon/client.js')
  const { code, out } = await zslab(['device', 'show', '0', '--json'], {
    client: () =>
      Promise.resolve({
        ...client,
        ensureDaemon: () => {
          process.env['ZSLAB_SOCKET'] = path
          return Promise.resolve()
        },
      }),
  })
  expect(code).toBe(0)
  expect(JSON.parse(out)).toEqual(device)
})
