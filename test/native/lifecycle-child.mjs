// One scenario of lifecycle.test.ts, in a process of its own: node lifecycle-child.mjs <url of ublk-native> <scenario>
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

const [url, scenario] = process.argv.slice(2)
const { closeFd, kick, registerKick, unregisterKick } = await import(url)

/** Waits until the thread is inside the kernel, in io_uring_enter. */
async function parked(threads) {
  for (;;) {
    const waiting = readdirSync('/proc/self/task').filter(tid => {
      try {
        const [call] = readFileSync(`/proc/self/task/${tid}/syscall`, 'utf8').split(' ')
        return call === '426'
      } catch {
        return false
      }
    })
    if (waiting.length >= threads) return
    await new Promise(resolve => setImmediate(resolve))
  }
}

async function startWorker() {
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(new URL('./lifecycle-worker.mjs', import.meta.url), {
    workerData: { url, stop },
  })
  const [{ kickFd, descriptorsFd }] = await once(worker, 'message')
  return { worker, stop, kickFd, descriptorsFd }
}

function openRings() {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[io_uring]'
    } catch {
      return false
    }
  }).length
}

const mappings = () => readFileSync('/proc/self/maps', 'utf8').split('memfd:').length - 1

const scenarios = {
  async exit() {
    const workers = [await startWorker(), await startWorker()]
    for (const { kickFd } of workers) registerKick(kickFd)
    await parked(2)
    process.exit(7)
  },
  async 'exit-without-kick'() {
    await startWorker()
    await parked(1)
    console.log('parked')
    process.exit(7)
  },
  async kick() {
    const { worker, stop, kickFd } = await startWorker()
    registerKick(kickFd)
    await parked(1)
    // Message and exit may come in one turn of the event loop: who asks for the second after the first has missed it.
    const exited = once(worker, 'exit')
    Atomics.store(stop, 0, 1)
    kick(kickFd)
    const [{ result }] = await once(worker, 'message')
    kick(kickFd) // crosses with close(): harmless
    await exited
    unregisterKick(kickFd)
    console.log(JSON.stringify({ result, rings: openRings() }))
  },
  async terminate() {
    const before = mappings()
    const { worker, kickFd, descriptorsFd } = await startWorker()
    await parked(1)
    const held = openRings()
    const ended = worker.terminate()
    kick(kickFd)
    await ended
    closeFd(descriptorsFd)
    closeFd(kickFd)
    console.log(JSON.stringify({ held, rings: openRings(), mappings: mappings() - before }))
  },
  async repeat() {
    let fds = 0
    for (let round = 0; round < 12; round++) {
      const { worker, stop, kickFd, descriptorsFd } = await startWorker()
      registerKick(kickFd)
      Atomics.store(stop, 0, 1)
      kick(kickFd)
      await once(worker, 'exit')
      unregisterKick(kickFd)
      closeFd(descriptorsFd)
      const now = readdirSync('/proc/self/fd').length
      if (round === 2) fds = now
      if (round === 11) console.log(JSON.stringify({ leaked: now - fds, rings: openRings() }))
    }
  },
}

await scenarios[scenario]()
