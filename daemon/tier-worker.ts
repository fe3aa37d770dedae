/**
 * The thread of one device's tierer: maps what it shares, and takes one step after the other until it is told to stop.
 *
 * Messages to main: {ready: true}; {problem: {action, result}} for what the log should say, the same thing once in a row. Any
 * message from main ends it after the step that it is in. An exception kills the process, as for a queue's worker.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { hardenThread, kick } from '../ublk-native/index.js'
import { FlushTickets } from './flush-tickets.js'
import { untilTurnsEnd } from './grace.js'
import { openShared, type SharedTask } from './open-shared.js'
import { Tierer } from './tierer.js'
import { zoneStates } from './zone-states.js'

/** Between two looks at whether a flush is done. */
const LOOK_MS = 1

/** What main gives the thread. */
export interface TierTask extends SharedTask {
  kickFds: readonly number[]
  /** Of an image: how it asks for a commit. */
  tickets: SharedArrayBuffer | null
  slotCount: number
  coldMs: number
  budgetBytesPerSecond: number
}

/** The next flush that succeeds. False when it does not, or the thread is to end. */
async function nextFlush(tickets: FlushTickets, signal: AbortSignal): Promise<boolean> {
  for (const ticket = tickets.take(); !tickets.isDone(ticket); await sleep(LOOK_MS))
    if (signal.aborted) return false
  return tickets.result === 0
}

async function run(task: TierTask): Promise<void> {
  const stopping = new AbortController()
  parentPort!.once('message', () => stopping.abort())
  const { signal } = stopping
  const { geometry, state, media } = openShared(task)
  hardenThread()
  const queues = task.kickFds.map((fd, queue) => ({
    turn: () => state.table.batchOf(queue),
    kick: () => kick(fd),
  }))
  const tickets = task.tickets === null ? null : new FlushTickets(task.tickets)
  let lastProblem = ''
  const tierer = new Tierer({
    media,
    firstRegion: geometry.conventionalCount,
    endRegion: geometry.zoneCount,
    zone: zoneStates(state.table, geometry),
    slotCount: task.slotCount,
    coldMs: task.coldMs,
    budgetBytesPerSecond: task.budgetBytesPerSecond,
    limitBytes: task.media.limitBytes ?? 0,
    nowMs: () => performance.now(),
    untilTurnsEnd: () => untilTurnsEnd(queues, milliseconds => sleep(milliseconds)),
    untilDurable: tickets === null ? null : () => nextFlush(tickets, signal),
    onProblem: (action, result) => {
      const problem = `${action} ${result}`
      if (problem !== lastProblem) parentPort!.postMessage({ problem: { action, result } })
      lastProblem = problem
    },
  })
  parentPort!.postMessage({ ready: true })
  while (!signal.aborted) {
    const waitMs = await tierer.step()
    // Always through the event loop, so that a stop is heard.
    await sleep(waitMs, undefined, { signal }).catch(() => {})
  }
  media.close()
}

void run(workerData as TierTask)
