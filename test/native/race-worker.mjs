// Writes and discards the blocks of 512 bytes that are its own (every Nth), in pages that it shares with the other workers.
import { parentPort, workerData } from 'node:worker_threads'

const { url, directory, bytes, index, count, seed, rounds, gate } = workerData
const { openMedia } = await import(url)
const BLOCK = 512
const media = openMedia({ directory, bytes, sameFill: true, create: false })
let state = (seed + index * 0x9e3779b9) >>> 0
const next = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return state >>> 8
}
const mine = Math.floor(bytes / BLOCK / count)
const model = new Uint8Array(mine * BLOCK)
const block = new Uint8Array(BLOCK)

// All begin together.
Atomics.add(gate, 0, 1)
Atomics.notify(gate, 0)
for (;;) {
  const arrived = Atomics.load(gate, 0)
  if (arrived === count) break
  Atomics.wait(gate, 0, arrived)
}
for (let step = 0; step < rounds; step++) {
  const which = next() % mine
  const offset = (which * count + index) * BLOCK
  const sort = next() % 4
  if (sort === 0) {
    block.fill(0)
    if (media.discard(offset, BLOCK) !== 0) throw new Error('discard')
  } else {
    block.fill(sort === 1 ? 7 : next() & 1)
    if (sort === 2) for (let i = 0; i < BLOCK; i++) block[i] = next()
    if (media.write(offset, block) !== BLOCK) throw new Error('write')
  }
  model.set(block, which * BLOCK)
}
media.close()
parentPort.postMessage(model)
