/**
 * `zslab trace record` against a control socket: what is asked, what is written, and how it ends.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TraceParser } from '../../cli/trace-file.js'
import { TraceRing, traceBase, traceBytes } from '../../daemon/trace-ring.js'
import { UBLK_IO_OP_WRITE } from '../../zone-model/index.js'
import { FakeDaemon, Refuse, zslab } from './fake-daemon.js'
import { device } from './samples.js'

const folder = mkdtempSync(join(tmpdir(), 'zslab-record-'))
const file = join(folder, 'out.ndjson')
const ZONES = [{ count: 8, condition: 'empty', wp: 0 }]
const END = [{ count: 8, condition: 'full' }]

let daemon: FakeDaemon
/** Writes to sectors, a batch each; what is left comes with the stop. */
let batches: number[][]
let lost: number

/** Entries as a ring has them. */
function encode(sectors: readonly number[]): string {
  const buffer = new SharedArrayBuffer(traceBytes(1))
  traceBase(buffer)[0] = 0
  const ring = new TraceRing(buffer, 0)
  for (const sector of sectors) ring.push(UBLK_IO_OP_WRITE, 8, sector, 0, 4096, 0, sector, 3)
  ring.publish()
  return Buffer.from(ring.drain()).toString('base64')
}

beforeEach(async () => {
  batches = []
  lost = 0
  daemon = new FakeDaemon()
  daemon.answers = {
    'device.show': () => device,
    'trace.start': () => ({
      ...{ device, kernel: '6.12.1', startedMs: Date.UTC(2024, 0, 2), isBusy: false, zones: ZONES },
    }),
    'trace.read': () => ({ entries: [encode(batches.shift() ?? [])], completeUs: 1e9, lost }),
    'trace.stop': () => ({ entries: [encode(batches.flat())], completeUs: null, lost, zones: END }),
  }
  await daemon.listen()
})

afterEach(async () => {
  await daemon.close()
  rmSync(file, { force: true })
})

/** The command with a clock that goes on 10 ms with every wait, and Ctrl-C after `waits` of them. */
async function record(waits: number, ...flags: string[]) {
  let nowMs = 0
  let left = waits
  return zslab(['trace', 'record', '0', ...flags], {
    interruption: () => ({ done: new Promise(() => {}), cancel: () => {} }),
    nowMs: () => nowMs,
    wait: () => {
      nowMs += 10
      return Promise.resolve(left-- > 0)
    },
  })
}

/** Every line must be one that a replay takes. */
function parse(text: string) {
  const parser = new TraceParser('out')
  const lines = text.trimEnd().split('\n')
  const parsed = lines.map(line => parser.parse(line))
  parser.finish()
  return parsed
}

const sectorsOf = (text: string) =>
  parse(text).flatMap(line => (line.kind === 'request' ? [line.request.sector] : []))

it('writes a header, the zones, the requests and an end to stdout, until Ctrl-C', async () => {
  batches = [[8, 16], [], [24]]
  const { code, out, err } = await record(2)
  expect(code).toBe(0)
  expect(err).toBe('recording /dev/ublkb0; Ctrl-C ends it\n3 requests in 0.0 s, 0 lost\n')
  const lines = parse(out)
  expect(lines[0]).toEqual({
    kind: 'header',
    header: { zslabTrace: 1, device, kernel: '6.12.1', started: '2024-01-02T00:00:00.000Z' },
  })
  expect(lines[1]).toEqual({ kind: 'zones', zones: ZONES })
  expect(lines[2]).toEqual({
    kind: 'request',
    request: {
      ...{ t: 8, queue: 0, op: 'write', zone: 0, sector: 8, sectors: 8, result: 4096 },
      latencyUs: 3,
    },
  })
  expect(sectorsOf(out)).toEqual([8, 16, 24])
  expect(lines.at(-1)).toEqual({
    kind: 'end',
    footer: { end: { requests: 3, lost: 0, seconds: 0.03 }, zones: END },
  })
})

it('--output and --json: the requests in the file, the summary on stdout; lost ones are told', async () => {
  batches = [[8], [16, 24]]
  lost = 5
  const { code, out, err } = await record(0, '--output', file, '--json')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(JSON.parse(out)).toEqual({ id: 0, file, requests: 3, lost: 5, seconds: 0.01 })
  // What came with the stop is there too.
  expect(sectorsOf(readFileSync(file, 'utf8'))).toEqual([8, 16, 24])
})

it('--json alone is misuse: stdout has the requests', async () => {
  const { code, out, err } = await record(0, '--json')
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(JSON.parse(err).error.message).toMatch(/^--json without --output/)
  expect(daemon.asked).toEqual([])
})

it('--seconds ends it', async () => {
  batches = Array.from({ length: 500 }, (_, i) => [i])
  const { code, out } = await record(Number.POSITIVE_INFINITY, '--seconds', '1')
  expect(code).toBe(0)
  expect(daemon.asked.filter(({ verb }) => verb === 'trace.read')).toHaveLength(100)
  expect(parse(out).at(-1)).toMatchObject({ footer: { end: { seconds: 1 } } })
})

it('--count ends it, and leaves the zones out when more came', async () => {
  batches = [[8, 16], [24, 32], [40]]
  const { code, out } = await record(9, '--count', '3')
  expect(code).toBe(0)
  expect(sectorsOf(out)).toEqual([8, 16, 24])
  expect(parse(out).at(-1)).toEqual({
    kind: 'end',
    footer: { end: { requests: 3, lost: 0, seconds: 0.01 } },
  })
  batches = [[8, 16], [24]]
  const whole = await record(9, '--count', '3')
  expect(parse(whole.out).at(-1)).toMatchObject({ footer: { zones: END } })
})

describe('ends early', () => {
  it('when the device goes: what came is there, without an end', async () => {
    batches = [[8], [16]]
    const read = daemon.answers['trace.read']!
    daemon.answers['trace.read'] = params => {
      if (batches.length === 0) throw new Refuse('DAEMON_ERR_NO_DEVICE', 'there is no device 0')
      return read(params)
    }
    const { code, out, err } = await record(9)
    expect(code).toBe(1)
    expect(err).toContain('zslab: there is no device 0\n')
    expect(parse(out).map(({ kind }) => kind)).toEqual(['header', 'zones', 'request', 'request'])
  })

  it('when somebody else records', async () => {
    daemon.answers['trace.start'] = () => {
      throw new Refuse('DAEMON_ERR_TRACE', 'device 0 is being recorded already')
    }
    const { code, out, err } = await record(0, '--json', '--output', file)
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(JSON.parse(err)).toEqual({
      error: { code: 'DAEMON_ERR_TRACE', message: 'device 0 is being recorded already' },
    })
  })

  it('when the file cannot be made, before anything is recorded', async () => {
    const { code, err } = await record(0, '--output', join(folder, 'no', 'where'))
    expect(code).toBe(2)
    expect(err).toMatch(/--output .*no\/where: ENOENT/)
    expect(daemon.asked.map(({ verb }) => verb)).toEqual(['device.show'])
  })
})
