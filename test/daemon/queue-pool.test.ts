/** The threads of a device: what happens when one of them does not start, or ends. */
import { beforeEach, expect, it, vi } from 'vitest'
import { QueuePool } from '../../daemon/queue-pool.js'
import type { WorkerTask } from '../../daemon/queue-worker.js'
import { FakeThread, kernel } from './fake-ublk.js'

vi.mock('../../ublk-native/index.js', async () => (await import('./fake-ublk.js')).fakeNative)

const tasks = [{ queueId: 0 }, { queueId: 1 }] as WorkerTask[]
let deaths: unknown[]
let pool: QueuePool

beforeEach(() => {
  kernel.reset()
  deaths = []
  pool = new QueuePool(
    error => deaths.push(error),
    task => new FakeThread(task),
  )
})

const threads = (): [FakeThread, FakeThread] => [kernel.threads[0]!, kernel.threads[1]!]

it('serves, is kicked and joined', async () => {
  const started = pool.start(tasks)
  for (const thread of threads()) thread.serve()
  await started
  pool.kick()
  expect(threads().map(thread => thread.kicks)).toEqual([1, 1])
  await pool.ended()
  // Who kicks from elsewhere may still do so.
  expect(kernel.registeredKicks.size).toBe(2)
  pool.release()
  expect(kernel.registeredKicks.size).toBe(0)
  expect(deaths).toEqual([])
})

// A rejection that nobody waits for would end the process, and fails the run of the tests.
it('a worker that throws while it starts fails the start, and nothing else', async () => {
  const started = pool.start(tasks)
  const [first, second] = threads()
  first.serve()
  second.fail(new Error('no memory for a ring'))
  await expect(started).rejects.toThrow('no memory for a ring')
  await new Promise(resolve => setImmediate(resolve))
  expect(deaths).toEqual([])
})

it('after a failed start those that run can be kicked and joined', async () => {
  const started = pool.start(tasks)
  const [first, second] = threads()
  let isSettled = false
  started.catch(() => {}).then(() => (isSettled = true))
  second.fail(new Error('no ring'))
  await new Promise(resolve => setImmediate(resolve))
  // The first is not there yet: nobody could reach it now.
  expect(isSettled).toBe(false)
  first.serve()
  await expect(started).rejects.toThrow('no ring')
  pool.kick()
  expect(first.kicks).toBe(1)
  await pool.ended()
})

it('a worker that ends without a word before it serves fails the start', async () => {
  const started = pool.start(tasks)
  const [first, second] = threads()
  first.serve()
  second.emit('exit', 3)
  await expect(started).rejects.toThrow(/queue 1 ended without a word \(exit code 3\)/)
})

it('a worker that fails while it serves is told once', async () => {
  const started = pool.start(tasks)
  for (const thread of threads()) thread.serve()
  await started
  threads()[1].fail(new Error('the ring broke'))
  expect(deaths).toEqual([new Error('the ring broke')])
  threads()[0].emit('exit', 1)
  expect(deaths).toHaveLength(2)
})
