/** Fills a store as a program that does not wait for each object: at once while the device keeps up, else waiting for it. */
import type { Store } from '../store/index.js'
import { KEY_BYTES, keyInto, valueFor } from './store-data.js'

/** Between two looks at what has come back from the device. */
const TURN = 4096

/** Sets objects `from` to `to` and flushes; `ttlOf` in milliseconds. */
export async function fillStore(
  store: Store,
  from: number,
  to: number,
  ttlOf: (number: number) => number,
): Promise<void> {
  const key = Buffer.alloc(KEY_BYTES)
  for (let i = from; i < to; i++) {
    keyInto(key, i)
    try {
      store.setSync(key, valueFor(i), ttlOf(i))
    } catch (error) {
      if ((error as { code?: string }).code !== 'STORE_ERR_BUSY') throw error
      await store.set(key, valueFor(i), { ttl: ttlOf(i) })
    }
    if (i % TURN === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await store.flush()
}
