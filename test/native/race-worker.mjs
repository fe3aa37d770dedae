// Writes and discards the blocks of 512 bytes that are its own (every Nth), in pages that it shares with other workers.
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

const write = which => {
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

// Spins, so that all go on within the same moment; on a busy machine it sleeps, so that the other gets its turn.
function arrive(page) {
  Atomics.add(gate, page, 1)
  Atomics.notify(gate, page)
  for (let spins = 0; Atomics.load(gate, page) < count; spins++)
    if (spins > 2000) Atomics.wait(gate, page, count - 1)
}

// Page by page, all at each new page together: a page is made raw by its first writers, and that is what they race for.
const inPage = 4096 / BLOCK / count
for (let page = 0; page * inPage < mine; page++) {
  arrive(page)
  for (let block = 0; block < inPage; block++) write(page * inPage + block)
}
for (let step = 0; step < rounds; step++) write(next() % mine)
media.close()
parentPort.postMessage(model)
