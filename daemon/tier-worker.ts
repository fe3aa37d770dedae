/**
 * The thread of one device's tierer: maps what it shares, and takes one step after the other until it is told to stop.
 *
 * Messages to main: {ready: true}; {problem: {action, result}} for what the log should say, the same thing once in a row. Any
 * message from main ends it after the step that it is in. An exception kills the process, as for a queue's worker.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { hardenThread, kick } from '../ublk-native/index.js'
import { BLK_ZONE_COND_FULL, conditionOf, wpOf } from '../zone-model/index.js'
import { untilTurnsEnd } from './grace.js'
import { openShared, type SharedTask } from './open-shared.js'
import type { SharedState } from './shared-state.js'
import { Tierer, type ZoneState } from './tierer.js'

const PAGE_SECTORS_SHIFT = 3

/** What main gives the thread. */
export interface TierTask extends SharedTask {
  kickFds: readonly number[]
  slotCount: number
  coldMs: number
  budgetBytesPerSecond: number
}

function zoneStates(state: SharedState): (region: number) => ZoneState {
  const { table } = state
  return zone => {
    const { writes, resets } = table.statistics(zone)
    const word = table.load(zone)
    const isFull = conditionOf(word) === BLK_ZONE_COND_FULL
    const sectors = isFull ? table.capacitySectors : wpOf(word)
    return { isFull, settledPages: sectors >> PAGE_SECTORS_SHIFT, changes: writes + resets }
  }
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
  let lastProblem = ''
  const tierer = new Tierer({
    media,
    firstRegion: geometry.conventionalCount,
    endRegion: geometry.zoneCount,
    zone: zoneStates(state),
    slotCount: task.slotCount,
    coldMs: task.coldMs,
    budgetBytesPerSecond: task.budgetBytesPerSecond,
    limitBytes: task.media.limitBytes ?? 0,
    nowMs: () => performance.now(),
    untilTurnsEnd: () => untilTurnsEnd(queues, milliseconds => sleep(milliseconds)),
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
