/**
 * Tickets and the tags that wait for them, against a plain reading of the rule: a tag goes when a round has ended that began
 * after the turn that kept it.
 */
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { FlushHolder } from '../../daemon/flush-holder.js'
import { FLUSH_TICKETS_BYTES, FlushTickets } from '../../daemon/flush-tickets.js'
import {
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_ZONE_CLOSE,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_OPEN,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
} from '../../zone-model/index.js'
import { Prng } from '../fakes/prng.js'

const WAIT = [
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
]
const GO_ON = [UBLK_IO_OP_ZONE_OPEN, UBLK_IO_OP_ZONE_CLOSE]

const makeTickets = () => new FlushTickets(new SharedArrayBuffer(FLUSH_TICKETS_BYTES))

describe('flush tickets', () => {
  it('a round serves every ticket that was taken before it began, and none that came later', () => {
    const tickets = makeTickets()
    const early = [tickets.take(), tickets.take()]
    const round = tickets.waitAfter(0)
    const late = tickets.take()
    tickets.finish(round, 0)
    expect(early.map(ticket => tickets.isDone(ticket))).toEqual([true, true])
    expect(tickets.isDone(late)).toBe(false)
    tickets.finish(tickets.waitAfter(round), -5)
    expect(tickets.isDone(late)).toBe(true)
    expect(tickets.result).toBe(-5)
  })

  it('goes on past 2^31', () => {
    const memory = new SharedArrayBuffer(FLUSH_TICKETS_BYTES)
    new Int32Array(memory).set([0x7fffffff, 0x7fffffff])
    const tickets = new FlushTickets(memory)
    const ticket = tickets.take()
    expect(ticket).toBe(-0x80000000)
    expect(tickets.isDone(ticket)).toBe(false)
    tickets.finish(tickets.waitAfter(0x7fffffff), 0)
    expect(tickets.isDone(ticket)).toBe(true)
    expect(tickets.isDone(0x7fffffff)).toBe(true)
  })

  it('a thread that waits is woken by a ticket, and by the end', async () => {
    const memory = new SharedArrayBuffer(FLUSH_TICKETS_BYTES)
    const tickets = new FlushTickets(memory)
    // What the flusher does, without a compiled file: the same four words.
    const source = `const { workerData, parentPort } = require('node:worker_threads')
      const words = new Int32Array(workerData)
      parentPort.postMessage('up')
      Atomics.wait(words, 0, 0)
      parentPort.postMessage(Atomics.load(words, 0))`
    const worker = new Worker(source, { eval: true, workerData: memory })
    const messages: unknown[] = []
    worker.on('message', message => {
      messages.push(message)
      if (message === 'up') tickets.take()
    })
    await new Promise(resolve => worker.on('exit', resolve))
    expect(messages).toEqual(['up', 1])
    tickets.stop()
    const last = tickets.waitAfter(1)
    expect(last).toBe(2)
    tickets.finish(last, 0)
    expect(tickets.waitAfter(2)).toBe(2)
  })
})

describe('flush holder', () => {
  it.each([1, 2, 3, 4])('random turns and rounds, seed %i', seed => {
    const random = new Prng(seed)
    const depth = 8
    const tickets = makeTickets()
    const holder = new FlushHolder(tickets, depth)
    const free = Array.from({ length: depth }, (_, tag) => tag)
    /** Tags in the order in which they were kept, and in which round at the earliest they may go. */
    const waiting: { tag: number; round: number }[] = []
    let round = 0
    let served = 0
    let done = 0
    for (let step = 0; step < 5_000; step++) {
      const went: number[] = []
      for (let tag = holder.released(); tag >= 0; tag = holder.released()) went.push(tag)
      const expected = waiting.filter(entry => entry.round <= served).map(entry => entry.tag)
      expect(went).toEqual(expected)
      waiting.splice(0, expected.length)
      free.push(...went)
      const keep = random.below(free.length + 1)
      for (const tag of free.splice(0, keep)) {
        expect(holder.keeps(tag, random.pick(WAIT))).toBe(true)
        waiting.push({ tag, round: round + 1 })
      }
      expect(holder.keeps(depth, random.pick(GO_ON))).toBe(false)
      expect(holder.released()).toBe(-1)
      if (random.below(2) === 0) {
        const wanted = tickets.waitAfter(done - 1)
        round++
        tickets.finish(wanted, 0)
        done = wanted
        served = round
      }
    }
    expect(round).toBeGreaterThan(1000)
  })
})
