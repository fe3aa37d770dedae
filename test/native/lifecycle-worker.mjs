// A queue worker on a fake device whose tags never come: it parks, as on an idle disk.
import { ftruncateSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

const { url, stop } = workerData
const { createMemfd, mapShared, openMedia, openQueue } = await import(url)
const DEPTH = 4
const media = openMedia({ directory: null, bytes: 1 << 20, sameFill: true, create: true })
const descriptorsFd = createMemfd('descriptors')
ftruncateSync(descriptorsFd, 4096)
const descriptors = mapShared(`/proc/self/fd/${descriptorsFd}`, 4096, false)
new Uint32Array(descriptors).fill(0xffffffff)
const queue = openQueue({
  charFd: descriptorsFd,
  queueId: 0,
  depth: DEPTH,
  maxIoBytes: 4096,
  media,
  marks: new Int32Array(4),
  markByteOffsets: [0, 8],
  fake: { descriptorsFd, userCopyBase: 0 },
})
parentPort.postMessage({ kickFd: queue.kickFd, descriptorsFd })
let result = 0
while (Atomics.load(stop, 0) === 0) {
  result = queue.commitAndFetch(0)
  if (result !== 0) break
}
queue.close()
media.close()
parentPort.postMessage({ result })
