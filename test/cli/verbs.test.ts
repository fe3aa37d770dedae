/**
 * Every verb against a control socket that answers what it is told: what is asked, what is printed, how it ends.
 */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeDaemon, Refuse, zslab } from './fake-daemon.js'
import { device, fault, refusal, report, reportOf, statsOf } from './samples.js'

let daemon: FakeDaemon

beforeEach(async () => {
  daemon = new FakeDaemon()
  daemon.answers = {
    ping: () => ({ pid: 1, version: '0', devices: 0 }),
    'device.create': () => device,
    'device.list': () => [device],
    'device.show': () => device,
    'device.delete': ({ id }) => ({ id, deleted: true, image: null }),
    'device.recover': () => device,
    'device.power-cut': () => ({
      id: 0,
      state: 'live',
      user: null,
      seed: 7,
      lost: { zones: 2, bytes: 3 * 1024 * 1024 },
    }),
    'zone.report': () => report,
    'zone.offline': () => ({ changed: 1 }),
    'zone.read-only': () => ({ changed: 1 }),
    'fault.add': () => fault,
    'fault.list': () => [fault],
    'fault.clear': () => ({ cleared: [3] }),
    explain: () => [refusal],
    stats: () => statsOf(100),
    shutdown: () => ({ pid: 4242 }),
  }
  await daemon.listen()
})

afterEach(() => daemon.close())

/** The params of the only question with this verb. */
function askedFor(verb: string): Record<string, unknown> {
  const all = daemon.asked.filter(asked => asked.verb === verb)
  expect(all).toHaveLength(1)
  return all[0]!.params
}

const JSON_VERBS: [string[], unknown][] = [
  [['device', 'create'], device],
  [['device', 'list'], [device]],
  [['device', 'show', '0'], device],
  [['device', 'delete', '0'], { id: 0, deleted: true, image: null }],
  [['device', 'recover', '0'], device],
  [['zone', 'report', '0'], report],
  [
    ['zone', 'open', '0', '2'],
    { id: 0, path: '/dev/ublkb0', operation: 'open', zones: 1, ranges: [{ first: 2, count: 1 }] },
  ],
  [
    ['zone', 'offline', '0', '6', '2'],
    {
      id: 0,
      path: '/dev/ublkb0',
      operation: 'offline',
      zones: 2,
      ranges: [{ first: 6, count: 2 }],
    },
  ],
  [
    ['zone', 'read-only', '0', '6'],
    {
      id: 0,
      path: '/dev/ublkb0',
      operation: 'read-only',
      zones: 1,
      ranges: [{ first: 6, count: 1 }],
    },
  ],
  [['fault', 'add', '0', '--op', 'write', '--errno', 'EIO'], fault],
  [['fault', 'list', '0'], [fault]],
  [['fault', 'clear', '0', '3'], { id: 0, cleared: [3] }],
  [['explain', '0'], [refusal]],
  [['stats', '0'], statsOf(100)],
  [['daemon', '--stop'], { pid: 4242, stopped: true }],
]

describe('--json', () => {
  it.each(JSON_VERBS)('%j prints one value and nothing else', async (argv, value) => {
    const { code, out, err } = await zslab([...argv, '--json'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out.endsWith('\n')).toBe(true)
    expect(out.trimEnd()).not.toContain('\n')
    expect(JSON.parse(out)).toEqual(value)
  })

  it('tells an error of the daemon as one line on stderr', async () => {
    daemon.answers['device.show'] = () => {
      throw new Refuse('DAEMON_ERR_NO_DEVICE', 'there is no device 7')
    }
    const { code, out, err } = await zslab(['device', 'show', '7', '--json'])
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(JSON.parse(err)).toEqual({
      error: { code: 'DAEMON_ERR_NO_DEVICE', message: 'there is no device 7' },
    })
    expect(err.trimEnd()).not.toContain('\n')
  })
})

describe('device', () => {
  it('sends only what was given, as it was typed', async () => {
    const flags = ['--zones', '32', '--zone-size', '256M', '--no-recovery', '--id', '-1']
    const { code, out } = await zslab(['device', 'create', ...flags])
    expect({ code, out }).toEqual({ code: 0, out: '/dev/ublkb0\n' })
    expect(askedFor('device.create')).toEqual({
      zones: '32',
      zoneSize: '256M',
      recovery: false,
      id: '-1',
    })
  })

  it('cuts the power, with a seed or without', async () => {
    const { code, out } = await zslab(['device', 'power-cut', '0', '--seed', '7'])
    expect({ code, out }).toEqual({
      code: 0,
      out: '/dev/ublkb0 is back\n3 MiB of 2 zones lost, seed 7\n',
    })
    expect(askedFor('device.power-cut')).toEqual({ id: 0, seed: 7 })
    daemon.asked.length = 0
    const user = 'mounted on /mnt'
    daemon.answers['device.power-cut'] = () => ({
      id: 0,
      state: 'off',
      user,
      seed: null,
      lost: null,
    })
    expect((await zslab(['device', 'power-cut', '0'])).out).toBe(
      'power is off: /dev/ublkb0 is mounted on /mnt, and comes back when that lets go of it\n',
    )
    expect(askedFor('device.power-cut')).toEqual({ id: 0 })
  })

  it('deletes with force when told', async () => {
    await zslab(['device', 'delete', '/dev/ublkb0', '--force'])
    expect(askedFor('device.delete')).toEqual({ id: 0, force: true })
  })

  it('recovers by asking a daemon that runs', async () => {
    const { code, out } = await zslab(['device', 'recover', '0'])
    expect({ code, out }).toEqual({ code: 0, out: '/dev/ublkb0 recovered, served by pid 4242\n' })
    expect(askedFor('device.recover')).toEqual({ id: 0 })
  })

  it('recovers by starting a daemon, which has done it by then', async () => {
    const path = process.env['ZSLAB_SOCKET']!
    process.env['ZSLAB_SOCKET'] = `${path}.none`
    daemon.answers['ping'] = () => ({ pid: device.pid, version: '0', devices: 1 })
    const client = await import('../../daemon/client.js')
    const ensureDaemon = (): Promise<void> => {
      process.env['ZSLAB_SOCKET'] = path
      return Promise.resolve()
    }
    const { code, out } = await zslab(['device', 'recover', '0'], {
      client: () => Promise.resolve({ ...client, ensureDaemon }),
    })
    expect({ code, out }).toEqual({ code: 0, out: '/dev/ublkb0 recovered, served by pid 4242\n' })
    expect(daemon.asked.some(({ verb }) => verb === 'device.recover')).toBe(false)
  })

  it('says the next step of an error', async () => {
    daemon.answers['device.delete'] = () => {
      throw new Refuse('DAEMON_ERR_BUSY', '/dev/ublkb0 is mounted on /mnt')
    }
    const { code, err } = await zslab(['device', 'delete', '0'])
    expect(code).toBe(1)
    expect(err).toBe(
      'zslab: /dev/ublkb0 is mounted on /mnt\n  next: umount what is on it, or add --force\n',
    )
  })

  it('counts a geometry that the daemon refuses as misuse', async () => {
    daemon.answers['device.create'] = () => {
      throw new Refuse('DAEMON_ERR_OPTION', '--max-open 15: at most --max-active 14')
    }
    const { code, err } = await zslab(['device', 'create', '--max-open', '15'])
    expect(code).toBe(2)
    expect(err).toContain('--max-open 15: at most --max-active 14')
  })
})

describe('zone', () => {
  it('passes the filters of a report', async () => {
    await zslab(['zone', 'report', 'ublkb0', '--condition', 'full', '--first', '2', '--count', '3'])
    expect(askedFor('zone.report')).toEqual({ id: 0, condition: 'full', first: 2, count: 3 })
  })

  it.each([
    ['open', '/dev/ublkb0 open 16384+8192'],
    ['close', '/dev/ublkb0 close 16384+8192'],
    ['finish', '/dev/ublkb0 finish 16384+8192'],
    ['reset', '/dev/ublkb0 reset 16384+8192'],
  ])('%s goes to the block device, in sectors', async (verb, ioctl) => {
    const { code, ioctls } = await zslab(['zone', verb, '0', '2'])
    expect({ code, ioctls }).toEqual({ code: 0, ioctls: [ioctl] })
  })

  it('offline goes to the daemon, and then the kernel is told', async () => {
    const { ioctls } = await zslab(['zone', 'offline', '0', '6'])
    expect(ioctls).toEqual(['/dev/ublkb0 report 49152 1'])
    expect(askedFor('zone.offline')).toEqual({ id: 0, first: 6, count: 1 })
  })

  it('tells the kernel of zones that went offline before one that was refused', async () => {
    daemon.answers['zone.offline'] = () => {
      throw new Refuse('DAEMON_ERR_ZONE', 'zone 7 cannot go offline')
    }
    const { code, err, ioctls } = await zslab(['zone', 'offline', '0', '6', '2'])
    expect({ code, ioctls }).toEqual({ code: 1, ioctls: ['/dev/ublkb0 report 49152 2'] })
    expect(err).toContain('zone 7 cannot go offline')
  })

  // One zone of each condition: 0 conventional, 1 empty, 2 implicit, 3 explicit, 4 closed, 5 full, 6 read-only, 7 offline.
  it.each([
    ['open', ['/dev/ublkb0 open 32768+8192']],
    ['close', ['/dev/ublkb0 close 16384+16384']],
    ['finish', ['/dev/ublkb0 finish 16384+24576']],
    ['reset', ['/dev/ublkb0 reset 16384+32768']],
  ])('%s --all takes the zones that Select All takes', async (verb, expected) => {
    const { ioctls } = await zslab(['zone', verb, '0', '--all'])
    expect(ioctls).toEqual(expected)
  })

  it('resets a device without conventional zones by one RESET_ALL', async () => {
    daemon.answers['zone.report'] = () => reportOf(['full', 'empty', 'full', 'empty'])
    const { ioctls } = await zslab(['zone', 'reset', '0', '--all'])
    expect(ioctls).toEqual(['/dev/ublkb0 reset 0+32768'])
  })

  it('says when --all finds nothing to do', async () => {
    daemon.answers['zone.report'] = () => reportOf(['empty', 'full'])
    const { code, out, ioctls } = await zslab(['zone', 'close', '0', '--all'])
    expect({ code, ioctls }).toEqual({ code: 0, ioctls: [] })
    expect(out).toBe('/dev/ublkb0: no zone is implicit-open or explicit-open, nothing to close\n')
  })
})

describe('--socket', () => {
  it('a relative path is that of this process, and is given on as an absolute one', async () => {
    const folder = process.cwd()
    process.chdir(daemon.folder)
    try {
      process.env['ZSLAB_SOCKET'] = '/nowhere/none.sock'
      const { code, out } = await zslab(['device', 'list', '--socket', 'control.sock', '--json'])
      expect({ code, devices: JSON.parse(out) }).toEqual({ code: 0, devices: [device] })
      expect(process.env['ZSLAB_SOCKET']).toBe(join(process.cwd(), 'control.sock'))
    } finally {
      process.chdir(folder)
    }
  })
})

describe('stats --watch', () => {
  it('prints a line of JSON each time until it is interrupted', async () => {
    let writes = 0
    daemon.answers['stats'] = () => statsOf(++writes)
    let waits = 0
    const { code, out } = await zslab(['stats', '0', '--watch', '--json'], {
      wait: ms => {
        expect(ms).toBe(1000)
        return Promise.resolve(++waits < 3)
      },
    })
    expect(code).toBe(0)
    const lines = out.trimEnd().split('\n')
    expect(lines.map(line => JSON.parse(line).counters.writes)).toEqual([1, 2, 3])
  })

  it('draws over itself on a terminal, with rates of the injected clock', async () => {
    let writes = 0
    daemon.answers['stats'] = () => {
      writes += 500
      return statsOf(writes)
    }
    let nowMs = 0
    let waits = 0
    const { out } = await zslab(['stats', '0', '--watch'], {
      outIsTerminal: true,
      nowMs: () => nowMs,
      wait: () => {
        nowMs += 2000
        return Promise.resolve(++waits < 2)
      },
    })
    const screens = out.split('\u001b[H\u001b[J').slice(1)
    expect(screens).toHaveLength(2)
    expect(screens[0]).not.toContain('/s')
    expect(screens[1]).toContain('now  reads 0/s (0 B/s), writes 250/s (1000 KiB/s)')
  })

  it('ends with the error when the device goes', async () => {
    let count = 0
    daemon.answers['stats'] = () => {
      if (++count > 1) throw new Refuse('DAEMON_ERR_NO_DEVICE', 'there is no device 0')
      return statsOf(1)
    }
    const { code, err } = await zslab(['stats', '0', '--watch'], {
      wait: () => Promise.resolve(true),
    })
    expect(code).toBe(1)
    expect(err).toContain('there is no device 0')
  })
})

describe('fault', () => {
  it('sends what was given, as numbers', async () => {
    const flags = ['--op', 'append', '--zone', '2-5', '--probability', '.25', '--count', '9']
    const more = ['--errno', 'ENOSPC', '--delay', '20', '--torn', '--seed', '4294967295']
    const { code, out } = await zslab(['fault', 'add', '0', ...flags, ...more])
    expect(code).toBe(0)
    expect(out).toBe(
      '/dev/ublkb0: fault 3 added (write of zones 2-5: every 4 matches, 2 times: waits 20 ms, then torn, ENOSPC; seed 99)\n',
    )
    expect(askedFor('fault.add')).toEqual({
      id: 0,
      op: 'append',
      first: 2,
      last: 5,
      probability: 0.25,
      count: 9,
      errno: 'ENOSPC',
      delayMs: 20,
      torn: true,
      seed: 4294967295,
    })
  })

  it('lists them as a table, or says that there are none', async () => {
    daemon.answers['fault.list'] = () => [
      fault,
      { ...fault, id: 4, op: 'any', zones: null, nth: 1, count: 1, torn: false, spent: false },
      { ...fault, id: 5, zones: { first: 7, last: 7 }, nth: null, probability: 0.1, count: null },
      { ...fault, id: 6, nth: null, count: null, errno: null, delayMs: 5 },
    ]
    const { out } = await zslab(['fault', 'list', '0'])
    expect(out).toMatch(
      /3 {2}write of zones 2-5 +every 4 matches, 2 times +waits 20 ms, then torn, ENOSPC +9 +2, spent +99/,
    )
    expect(out).toMatch(/4 {2}any request +match 1 +waits 20 ms, then ENOSPC/)
    expect(out).toMatch(/5 {2}write of zone 7 +probability 0\.1 +waits/)
    expect(out).toMatch(/6 {2}write of zones 2-5 +each +waits 5 ms +9/)
    daemon.answers['fault.list'] = () => []
    expect((await zslab(['fault', 'list', '0'])).out).toBe('/dev/ublkb0: no faults\n')
  })

  it('clears one or all', async () => {
    const { out } = await zslab(['fault', 'clear', '0', '3'])
    expect(out).toBe('/dev/ublkb0: 1 fault cleared (3)\n')
    expect(askedFor('fault.clear')).toEqual({ id: 0, fault: 3 })
    daemon.asked.length = 0
    daemon.answers['fault.clear'] = () => ({ cleared: [] })
    expect((await zslab(['fault', 'clear', '0'])).out).toBe('/dev/ublkb0: no faults\n')
    expect(askedFor('fault.clear')).toEqual({ id: 0 })
  })

  it('is told by explain as what it is', async () => {
    daemon.answers['explain'] = () => [
      { ...refusal, status: 0, statusName: 'Injected Fault', rule: 'Fault 3 ordered it', fault: 3 },
    ]
    const { out } = await zslab(['explain', '0'])
    expect(out).toContain('refused: Fault 3 ordered it\n           the program got EIO\n')
    expect(out).not.toContain('NVMe status')
  })
})
