/** The file of a trace: what is written is read back the same, and what is wrong is named by its line. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readTrace, TraceParser, toRequest } from '../../cli/trace-file.js'
import { TraceMerge } from '../../cli/trace-merge.js'
import { decodeEntries, type TraceEntry } from '../../daemon/trace-entries.js'
import { TraceRing, traceBase, traceBytes } from '../../daemon/trace-ring.js'
import { Prng } from '../fakes/prng.js'
import { linesOf, type MadeTrace, makeTrace } from './trace-traces.js'

const folder = mkdtempSync(join(tmpdir(), 'zslab-trace-'))
afterAll(() => rmSync(folder, { recursive: true }))

const ALL = [
  ...['read', 'write', 'append', 'flush', 'open', 'close', 'finish', 'reset', 'reset-all'],
  ...['report', 'discard', 'write-zeroes'],
]
const geometry = { zoneCount: 8, zoneSizeBytes: 65536, zoneCapacityBytes: 49152, maxOpen: 2 }

async function made(): Promise<MadeTrace> {
  const ops = ['read', 'write', 'append', 'reset', 'flush']
  return makeTrace(new Prng(5), { geometry, requests: 20, ops, overlap: false })
}

async function readAll(text: string) {
  const file = join(folder, 'x.ndjson')
  writeFileSync(file, text)
  const lines = []
  for await (const line of readTrace(file)) lines.push(line)
  return lines
}

/** UBLK_IO_OP_* of every name. */
const OPS: Readonly<Record<string, number>> = {
  ...{ read: 0, write: 1, flush: 2, discard: 3, 'write-zeroes': 5, open: 10, close: 11 },
  ...{ finish: 12, append: 13, 'reset-all': 14, reset: 15, report: 18 },
}

/** Requests into the rings of three queues, read in batches at any moment, written, and read back. */
it('random requests → rings → batches → NDJSON → requests, in the order of their time', async () => {
  const prng = Prng.fromEnvironment('trace file')
  const QUEUES = 3
  const buffer = new SharedArrayBuffer(traceBytes(QUEUES))
  traceBase(buffer)[0] = 77
  const rings = Array.from({ length: QUEUES }, (_, queue) => new TraceRing(buffer, queue))
  const merge = new TraceMerge(decodeEntries)
  const zoneSectors = 128
  const pushed: { queue: number; entry: TraceEntry }[] = []
  const seen: { queue: number; entry: TraceEntry }[] = []
  const batch = (isLast: boolean) => ({
    completeUs: isLast ? null : Math.min(...rings.map(ring => ring.turnUs)),
    entries: rings.map(ring => Buffer.from(ring.drain()).toString('base64')),
    lost: 0,
  })
  let t = 0
  for (let turn = 0; turn < 800; turn++) {
    const queue = prng.below(QUEUES)
    const ring = rings[queue]!
    // Never the same for two queues: which of them comes first is nobody's promise.
    t += (1 + prng.below(3000)) / 2
    // What was delivered in the turn before is published now; then this turn's time is told.
    ring.publish()
    ring.beginTurn(77 + t)
    for (let i = prng.below(4); i > 0; i--) {
      const op = prng.pick(ALL)
      const zone = prng.below(8)
      const sectors = 8 * (1 + prng.below(8))
      const result = prng.chance(0.3) ? -5 : prng.below(9999)
      const lba = op === 'append' ? zone * zoneSectors + 8 * prng.below(8) : 0
      const entry: TraceEntry = {
        ...{ t, op, startSector: zone * zoneSectors, sectors, isFua: prng.chance(0.2), result },
        ...{ lba, latencyUs: prng.below(500) },
      }
      const flags = entry.isFua ? 1 << 13 : 0
      const word = OPS[op]! | flags
      ring.push(word, sectors, entry.startSector, 0, result, lba, 77 + t, entry.latencyUs)
      pushed.push({ queue, entry })
    }
    if (prng.chance(0.1)) seen.push(...merge.add(batch(false)))
  }
  expect(seen.length).toBeGreaterThan(100)
  for (const ring of rings) ring.publish()
  seen.push(...merge.add(batch(true)))
  expect(seen.map(({ entry }) => entry)).toEqual(pushed.map(({ entry }) => entry))
  const requests = pushed.map(({ queue, entry }) => toRequest(entry, queue, zoneSectors))
  const lines = linesOf({ ...(await made()), requests })
  const back = (await readAll(`${lines.join('\n')}\n`)).flatMap(line =>
    line.kind === 'request' ? [line.request] : [],
  )
  expect(back).toEqual(requests)
  expect(new Set(back.map(({ op }) => op))).toEqual(new Set(ALL))
})

it('a file without its end is a recording that was cut off', async () => {
  const lines = linesOf(await made())
  const kinds = (await readAll(lines.slice(0, 5).join('\n'))).map(({ kind }) => kind)
  expect(kinds).toEqual(['header', 'zones', 'request', 'request', 'request'])
})

describe('a bad line is refused with its number', () => {
  const write = { t: 9, queue: 0, op: 'write', zone: 1, sector: 128, sectors: 8, result: 4096 }
  const good = { ...write, latencyUs: 3 }
  const BAD: [string, unknown, string][] = [
    ['no JSON', '{"t":', 'is not JSON: expected one object a line'],
    ['an array', [1], 'is not an object: expected one object a line'],
    ['another op', { ...good, op: 'wirte' }, 'op wirte: expected one of read, write, append'],
    ['no op', { t: 1 }, 'op is missing: expected a string'],
    ['a misspelt key', { ...good, sector_: 1 }, 'sector_ is unknown: expected only t, queue, op'],
    ['a key of another op', { ...good, lba: 1 }, 'lba is unknown'],
    ['no result', { ...good, result: undefined }, 'result is missing: expected a whole number'],
    ['half a result', { ...good, result: 0.5 }, 'result 0.5: expected a whole number from -4095'],
    ['a result as text', { ...good, result: '0' }, 'result "0": expected a whole number'],
    ['time that goes back', { ...good, t: 4 }, 't 4: expected a whole number from 5'],
    ['a zone too many', { ...good, zone: 8 }, 'zone 8: expected a whole number from 0 to 7'],
    ['a sector too many', { ...good, sector: 1024 }, 'sector 1024: expected a whole number from 0'],
    ['too long', { ...good, sectors: 897 }, 'sectors 897: expected a whole number from 0 to 896'],
    ['other flags', { ...good, flags: 'x' }, 'flags "x": expected "fua", or no flags'],
    ['no latency', write, 'latencyUs is missing'],
    ['an append without a place', { ...good, op: 'append' }, 'lba is missing'],
    ['an end with another count', { end: { requests: 3, lost: 0, seconds: 1 } }, 'requests 3:'],
    ['an end with less', { end: { requests: 1, lost: 0 } }, 'seconds: expected a number'],
    ['an end with other zones', { end: { requests: 1, lost: 0, seconds: 1 }, zones: [] }, 'has 0'],
  ]
  const first = { ...good, t: 5 }

  it.each(BAD)('%s', async (_, line, message) => {
    const [header, zones] = linesOf(await made())
    const parser = new TraceParser('x.ndjson')
    for (const text of [header!, zones!, JSON.stringify(first)]) parser.parse(text)
    const text = typeof line === 'string' ? line : JSON.stringify(line)
    expect(() => parser.parse(text)).toThrow(/^x\.ndjson:4: /)
    const again = new TraceParser('x.ndjson')
    for (const before of [header!, zones!, JSON.stringify(first)]) again.parse(before)
    expect(() => again.parse(text)).toThrow(message)
    // The good one would have been taken.
    const control = new TraceParser('x.ndjson')
    for (const before of [header!, zones!, JSON.stringify(first)]) control.parse(before)
    expect(control.parse(JSON.stringify(good))).toEqual({ kind: 'request', request: good })
  })

  it('headers and zones', async () => {
    const [header, zones] = linesOf(await made())
    const parse = (...lines: string[]) => {
      const parser = new TraceParser('x')
      for (const line of lines) parser.parse(line)
      parser.finish()
    }
    expect(() => parse()).toThrow('x:1: the file is empty: expected a header')
    expect(() => parse('{"zslabTrace":2}')).toThrow('x:1: zslabTrace 2: expected 1')
    expect(() => parse('{"a":2}')).toThrow('x:1: zslabTrace is missing: expected 1')
    expect(() => parse(header!.replace('"zones":8', '"zones":0'))).toThrow('x:1: zones 0: expected')
    expect(() => parse(header!)).toThrow('x:2: the file ends here: expected the zones')
    expect(() => parse(header!, zones!.replace('8', '7'))).toThrow('x:2: zones has 7: expected 8')
    expect(() => parse(header!, zones!.replace('empty', 'void'))).toThrow('x:2: condition void')
    expect(() => parse(header!, zones!)).not.toThrow()
  })

  it('what comes after the end, and what is no file', async () => {
    const lines = linesOf(await made())
    await expect(readAll([...lines, lines.at(-2)!].join('\n'))).rejects.toThrow(
      /:24: a line after the end/,
    )
    const nowhere = readTrace(join(folder, 'nothing'))
    await expect(nowhere.next()).rejects.toMatchObject({ code: 'CLI_ERR_TRACE' })
  })
})
