/**
 * Replays on emulated drives: the same drive gives the same results at any depth, another one is told apart, and nothing is
 * touched that is not as the trace begins.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import type { TraceRequest } from '../../cli/trace-file.js'
import * as client from '../../daemon/client.js'
import { EIO, type GeometryOptions } from '../../zone-model/index.js'
import { EmulatedDisk, failing } from '../fakes/emulated-disk.js'
import { Prng } from '../fakes/prng.js'
import { zslab } from './fake-daemon.js'
import { linesOf, type MadeTrace, makeTrace } from './trace-traces.js'

const folder = mkdtempSync(join(tmpdir(), 'zslab-replay-'))
const file = join(folder, 'trace.ndjson')
afterAll(() => rmSync(folder, { recursive: true }))

const GEOMETRY: GeometryOptions = {
  ...{ zoneCount: 10, zoneSizeBytes: 65536, zoneCapacityBytes: 49152, conventionalCount: 1 },
  ...{ maxOpen: 3, maxActive: 5 },
}
const LIMITED = ['write', 'write', 'write', 'append', 'read', 'read', 'flush', 'report']
const ALL = [...LIMITED, 'open', 'close', 'finish', 'reset', 'reset-all']
const EMPTY: GeometryOptions = { zoneCount: 4, zoneSizeBytes: 65536 }

let disk: EmulatedDisk
let nowMs: number
let waits: number[]

/** The command on `disk`; `--json` unless it is the text that is wanted. */
async function replay(...flags: string[]) {
  const ran = await zslab(['trace', 'replay', disk.path, file, ...flags], {
    client: () => Promise.resolve({ ...client, openZonedDisk: () => Promise.resolve(disk) }),
    interruption: () => ({ done: new Promise(() => {}), cancel: () => {} }),
    nowMs: () => nowMs,
    wait: ms => {
      waits.push(ms)
      nowMs += ms
      return Promise.resolve(true)
    },
  })
  expect(disk.isClosed).toBe(true)
  return ran
}

async function compared(...flags: string[]) {
  const { code, out, err } = await replay('--json', ...flags)
  expect(err).toBe('')
  return { code, ...JSON.parse(out) }
}

const save = (made: MadeTrace, lost = 0) =>
  writeFileSync(file, `${linesOf(made, lost).join('\n')}\n`)

function use(options: GeometryOptions): void {
  disk = new EmulatedDisk(options)
}

/** A trace of these requests, all good, on an empty drive of four zones. */
async function handMade(requests: Partial<TraceRequest>[], zones?: client.ZoneRun[]) {
  use(EMPTY)
  const base = { queue: 0, latencyUs: 1 }
  save({
    device: disk.layout,
    zones: zones ?? [{ count: 4, condition: 'empty', wp: 0 }],
    requests: requests.map((one, i) => ({ ...base, t: 10 * i, ...one }) as TraceRequest),
    end: [{ count: 4, condition: 'empty', wp: 0 }],
  })
}

const write = (zone: number, offset: number, sectors = 8) => ({
  ...{ op: 'write', zone, sector: zone * 128 + offset, sectors, result: sectors * 512 },
})
const read = (zone: number, offset: number, sectors = 8) => ({
  ...{ op: 'read', zone, sector: zone * 128 + offset, sectors, result: sectors * 512 },
})

beforeEach(() => {
  nowMs = 0
  waits = []
})

describe('the same drive', () => {
  it.each([1, 2, 8])('gives the same results, all operations and limits, depth %i', async depth => {
    const prng = Prng.fromEnvironment('replay')
    const errors = new Set<number>()
    for (let round = 0; round < 6; round++) {
      const shape = { geometry: GEOMETRY, requests: 400, ops: ALL, overlap: false }
      const made = await makeTrace(prng, shape)
      save(made)
      use(GEOMETRY)
      const found = await compared('--reset', '--depth', String(depth))
      expect(found.differences).toEqual([])
      expect(found).toMatchObject({ code: 0, same: 400, different: 0, zones: [], skipped: 0 })
      for (const { result } of made.requests) errors.add(Math.min(result, 0))
      expect(found.checkedReads).toBeGreaterThan(10)
    }
    // Good, EIO, and both limits: what is compared is not all the same.
    expect(errors.size).toBeGreaterThan(2)
  })

  it('gives the same results where requests overlapped, whoever answers first', async () => {
    const prng = Prng.fromEnvironment('replay, overlapping')
    const geometry = { ...GEOMETRY, maxOpen: 0, maxActive: 4 }
    for (let round = 0; round < 6; round++) {
      const ops = ALL.filter(op => op !== 'close')
      const made = await makeTrace(prng, { geometry, requests: 400, ops, overlap: true })
      save(made)
      use(geometry)
      disk.delay = async () => {
        for (let i = prng.below(6); i > 0; i--) await new Promise(setImmediate)
      }
      const found = await compared('--reset', '--depth', '4')
      expect(found).toMatchObject({ code: 0, same: 400, different: 0, zones: [] })
      expect(disk.deepest).toBeGreaterThan(1)
      expect(disk.deepest).toBeLessThanOrEqual(4)
    }
  })

  it('requests of one zone follow each other, others overlap, turning points are alone', async () => {
    const at = (t: number, latencyUs: number) => ({ t, latencyUs })
    await handMade([
      ...[write(0, 0), write(1, 0), write(2, 0)],
      ...[
        { ...write(0, 8), ...at(100, 50) },
        { ...write(1, 8), ...at(101, 50) },
      ],
      ...[
        { ...write(2, 8), ...at(102, 1) },
        { ...read(3, 0), ...at(103, 50) },
      ],
      ...[
        { ...write(1, 16), ...at(104, 50) },
        { ...write(3, 0), ...at(105, 5) },
      ],
    ])
    const answers = new Map<number, () => void>()
    disk.delay = () =>
      new Promise(resolve => {
        const { sector } = disk.asked.at(-1)!
        answers.set(sector, () => {
          answers.delete(sector)
          resolve()
        })
      })
    /** What is under way when nothing else can begin. */
    const underWay = async () => {
      for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
      return [...answers.keys()]
    }
    const ended = replay('--depth', '8')
    // The first write to a zone makes it active: alone.
    while (answers.size === 0) await new Promise(setImmediate)
    for (const sector of [0, 128, 256]) {
      expect(await underWay()).toEqual([sector])
      answers.get(sector)!()
    }
    // 264 had ended when the read of 384 came; that is the only one that it waits for.
    expect(await underWay()).toEqual([8, 136, 264])
    answers.get(264)!()
    expect(await underWay()).toEqual([8, 136, 384])
    // 144 waits for 136, of its zone.
    answers.get(8)!()
    expect(await underWay()).toEqual([136, 384])
    answers.get(136)!()
    expect(await underWay()).toEqual([384, 144])
    // The first write to zone 3 waits for all.
    answers.get(384)!()
    expect(await underWay()).toEqual([144])
    answers.get(144)!()
    expect(await underWay()).toEqual([384])
    answers.get(384)!()
    expect((await ended).out).toMatch(/^same +9\ndifferent +0$/m)
  })
})

describe('another drive', () => {
  it('is told by operation, result, and first line', async () => {
    await handMade([write(0, 0), write(1, 0), read(0, 0), write(1, 8)])
    failing(disk, 'write')
    const { code, out } = await replay()
    expect(code).toBe(1)
    expect(out).toContain('4 requests in 0.0 s')
    expect(out).toMatch(/^same +1\ndifferent +3$/m)
    expect(out).toMatch(/^OP +RECORDED +REPLAYED +COUNT +LINE\nwrite +ok +EIO +3 +3$/m)
    expect(out).toContain('zones          all as at the end of the recording')
  })

  it('with other data where it was written is found by a read, unless checks are off', async () => {
    const spoil = () => {
      disk.instead = ({ op }) => (op === 'read' ? 4096 : null)
    }
    await handMade([write(0, 0), read(0, 0), read(1, 0)])
    spoil()
    const found = await compared()
    expect(found).toMatchObject({ code: 1, same: 2, different: 1, checkedReads: 2 })
    expect(found.differences).toEqual([
      { op: 'read', recorded: 'ok', replayed: 'ok, wrong data', count: 1, line: 4 },
    ])
    await handMade([write(0, 0), read(0, 0), read(1, 0)])
    spoil()
    expect(await compared('--no-check')).toMatchObject({ same: 3, different: 0, checkedReads: 0 })
  })

  it('short results and appends elsewhere', async () => {
    const append = { op: 'append', zone: 1, sector: 128, sectors: 8, result: 4096 }
    await handMade([
      { ...append, lba: 128 },
      { ...append, lba: 144 },
      { ...append, lba: 144 },
      write(0, 0, 16),
      { op: 'op-77', result: 0 },
    ])
    disk.instead = ({ op, sectors }) => (op === 'write' && sectors === 16 ? 512 : null)
    const found = await compared()
    expect(found).toMatchObject({ same: 2, different: 2, skipped: 1, requests: 4 })
    expect(found.differences).toEqual([
      { op: 'append', recorded: 'ok', replayed: 'ok, elsewhere', count: 1, line: 4 },
      { op: 'write', recorded: 'ok', replayed: '512 of 8192 bytes', count: 1, line: 6 },
    ])
    expect(disk.asked.map(({ op, sector }) => [op, sector]).slice(0, 3)).toEqual([
      ['write', 128],
      ['write', 136],
      ['write', 144],
    ])
  })

  it('zones that end differently are told', async () => {
    await handMade([write(2, 0)])
    const { code, out } = await replay()
    expect(code).toBe(1)
    expect(out).toContain('1 zone not as at the end of the recording:')
    expect(out).toMatch(/^ +2 +empty, wp 0 +implicit-open, wp 8$/m)
  })

  it.each([
    [{ zoneCount: 5 }, 'zones 5 instead of 10'],
    [{ zoneSizeBytes: 131072 }, 'zone size in bytes 131072 instead of 65536'],
    [{ zoneCapacityBytes: 65536 }, 'zone capacity in bytes 65536 instead of 49152'],
    [{ conventionalCount: 0 }, 'conventional zones 0 instead of 1'],
    [{ blockSizeBytes: 512 }, 'block size in bytes 512 instead of 4096'],
    [
      { maxOpen: 2, maxActive: 4 },
      'open zones 2 instead of 3, limit of active zones 4 instead of 5',
    ],
  ])('%j is refused by name before anything is done, and taken with --force', async (other, message) => {
    const ops = ['read', 'write']
    save(await makeTrace(new Prng(3), { geometry: GEOMETRY, requests: 9, ops, overlap: false }))
    use({ ...GEOMETRY, ...other })
    const { code, out, err } = await replay('--reset')
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain(message)
    expect(err).toContain('or use --force')
    expect(disk.asked).toEqual([])
    const forced = await replay('--force', '--json')
    expect(JSON.parse(forced.out).requests).toBe(9)
  })
})

describe('where the trace begins', () => {
  const START: client.ZoneRun[] = [
    { count: 1, condition: 'implicit-open', wp: 40 },
    { count: 1, condition: 'closed', wp: 16 },
    { count: 1, condition: 'full' },
    { count: 1, condition: 'explicit-open', wp: 0 },
  ]

  it('a drive with something else on it is refused, and left alone', async () => {
    await handMade([write(0, 0)])
    await disk.drive.write(128, new Uint8Array(4096))
    const { code, err } = await replay()
    expect(code).toBe(1)
    expect(err).toContain(
      'zone 1 is implicit-open, wp 8, and was empty, wp 0 when the trace began: --reset makes it so',
    )
    expect(disk.asked).toEqual([])
  })

  it('--reset brings it there, with data that reads can check', async () => {
    await handMade([read(0, 0, 40), read(1, 8), write(0, 40), write(1, 16)], START)
    await disk.drive.write(128, new Uint8Array(4096))
    const found = await compared('--reset')
    expect(found).toMatchObject({ same: 4, different: 0, checkedReads: 2 })
    const { zones } = found
    expect(zones.map(({ replayed }: { replayed: client.ZoneState }) => replayed)).toEqual([
      { condition: 'implicit-open', wp: 48 },
      { condition: 'implicit-open', wp: 24 },
      { condition: 'full', wp: null },
      { condition: 'explicit-open', wp: 0 },
    ])
  })

  it('a drive that cannot be brought there is refused', async () => {
    await handMade([], START)
    failing(disk, 'finish')
    const { code, err } = await replay('--reset')
    expect(code).toBe(1)
    expect(err).toContain(
      'cannot be brought to where the trace begins: finish of 128 sectors at 256: errno 5',
    )
    expect(EIO).toBe(5)
  })

  it('conventional zones are only written with --reset: nobody can tell whether they have data', async () => {
    const ops = ['write']
    const geometry = { ...EMPTY, conventionalCount: 3 }
    save(await makeTrace(new Prng(4), { geometry, requests: 30, ops, overlap: false }))
    use(geometry)
    const { code, err } = await replay()
    expect(code).toBe(1)
    expect(err).toMatch(/writes to conventional zones.*--reset allows it/)
    expect(disk.asked).toEqual([])
    expect((await compared('--reset')).code).toBe(0)
  })

  it('a trace with lost requests is only replayed with --force', async () => {
    const made = await makeTrace(new Prng(4), {
      ...{ geometry: EMPTY, requests: 30, ops: ['write'], overlap: false },
    })
    save(made, 3)
    use(EMPTY)
    const { code, err } = await replay()
    expect(code).toBe(1)
    expect(err).toContain('3 requests were lost while it was recorded')
    use(EMPTY)
    expect((await compared('--force')).code).toBe(0)
  })

  it('a bad line is found before the drive is touched', async () => {
    await handMade([write(0, 0), { ...write(0, 8), sector: 5000 }])
    disk.isClosed = true
    const { code, err } = await replay('--reset')
    expect(code).toBe(1)
    expect(err).toContain(`${file}:4: sector 5000: expected a whole number from 0 to 511`)
    expect(disk.asked).toEqual([])
  })
})

describe('in time', () => {
  it.each([
    ['1', [0.01, 0.01]],
    ['0.01', [1, 1]],
    ['max', []],
  ])('--speed %s', async (speed, expected) => {
    await handMade([write(0, 0), { ...write(0, 8), t: 1e3 }, { ...write(0, 16), t: 2e3 }])
    await replay('--speed', speed)
    const total = waits.reduce((sum, ms) => sum + ms, 0)
    expect(total).toBeCloseTo(speed === 'max' ? 0 : 2 / Number(speed), 6)
    expect(waits).toHaveLength(expected.length)
  })

  it('Ctrl-C ends it, and says so', async () => {
    await handMade([write(0, 0), { ...write(0, 8), t: 1e6 }])
    const ran = await zslab(['trace', 'replay', disk.path, file, '--speed', '1'], {
      client: () => Promise.resolve({ ...client, openZonedDisk: () => Promise.resolve(disk) }),
      interruption: () => ({ done: new Promise(() => {}), cancel: () => {} }),
      wait: () => Promise.resolve(false),
    })
    expect(ran.code).toBe(1)
    expect(ran.out).toContain('Ended before the trace was over.')
    expect(ran.out).toContain('zones          not compared')
    expect(disk.asked).toHaveLength(1)
  })
})
