/**
 * The tour of `zslab start`: its steps in order, its result, and that it leaves nothing behind whatever fails.
 */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { run } from '../../cli/program.js'
import { type RunProgram, runTour, type TourResult } from '../../cli/tour.js'
import * as client from '../../daemon/client.js'
import { FakeDaemon, Refuse } from './fake-daemon.js'
import { device, report, statsOf } from './samples.js'

let daemon: FakeDaemon

beforeEach(async () => {
  daemon = new FakeDaemon()
  daemon.answers = {
    ping: () => ({ pid: 1, version: '0', devices: 0 }),
    'device.create': () => device,
    'device.show': () => device,
    'device.delete': ({ id }) => ({ id, deleted: true, image: null }),
    'zone.report': () => report,
    stats: () => statsOf(1),
  }
  await daemon.listen()
})

afterEach(() => daemon.close())

const fioWell: RunProgram = () => {
  const fields = Array.from({ length: 130 }, () => '0')
  fields[5] = '8192'
  fields[46] = '8192'
  return Promise.resolve({ code: 0, output: `${fields.join(';')}\n` })
}

async function tour(
  runProgram: RunProgram,
  interrupted = new Promise<boolean>(() => {}),
): Promise<TourResult & { out: string }> {
  let out = ''
  const io = {
    out: (text: string) => {
      out += text
    },
    err: () => {},
    drained: () => Promise.resolve(),
    outIsTerminal: false,
    errIsTerminal: false,
    hasColour: false,
    outBytes: () => {},
    input: () => Promise.resolve(new Uint8Array()),
    store: () => import('../../store/index.js'),
    interactive: false,
    nowMs: () => 0,
    wait: () => Promise.resolve(false),
    interruption: () => ({ done: interrupted, cancel: () => {} }),
    client: () => Promise.resolve({ ...client, ensureDaemon: () => Promise.resolve() }),
    vm: () => Promise.reject(new Error('no VM')),
  }
  const result = await runTour({ io, quiet: false, runVerb: run, runProgram })
  return { ...result, out }
}

it('makes, reports, writes with verification, measures, deletes', async () => {
  const { ok, steps, out } = await tour(fioWell)
  expect(ok).toBe(true)
  const words = steps.map(({ command }) => command.split(' ').slice(0, 3).join(' '))
  expect(words).toEqual([
    'zslab device create',
    'zslab zone report',
    'fio --filename=/dev/ublkb0 fio-jobs/seq-write-verify.fio',
    'zslab zone report',
    'zslab stats 0',
    'zslab device delete',
  ])
  expect(out).toContain('written 8192 KiB, read back and verified 8192 KiB, no errors')
  // The daemon was there before, so it stays.
  expect(daemon.asked.some(({ verb }) => verb === 'shutdown')).toBe(false)
})

it('skips fio with a note where it is not installed', async () => {
  const { ok, steps, out } = await tour(() => Promise.resolve({ code: null, output: '' }))
  expect(ok).toBe(true)
  expect(steps[2]!.skipped).toContain('not installed')
  expect(out).toContain('skipped: not installed')
})

it('fails when fio finds something wrong, and deletes the device', async () => {
  const { ok, steps, out } = await tour(() =>
    Promise.resolve({ code: 1, output: 'verify: bad magic\n' }),
  )
  expect(ok).toBe(false)
  expect(out).toContain('verify: bad magic')
  expect(out).toContain('(failed with exit code 1)')
  expect(steps.at(-1)).toMatchObject({ command: 'zslab device delete 0', code: 0 })
})

it('fails when no device can be made, and deletes none', async () => {
  daemon.answers['device.create'] = () => {
    throw new Refuse('DAEMON_ERR_RESOURCES', 'out of memory')
  }
  const { ok, steps } = await tour(fioWell)
  expect(ok).toBe(false)
  expect(steps).toHaveLength(1)
})

it('deletes the device when it is interrupted', async () => {
  const { ok, steps } = await tour(fioWell, Promise.resolve(true))
  expect(ok).toBe(false)
  expect(steps.map(({ command }) => command.split(' ')[2])).toEqual(['create', 'delete'])
})
