/**
 * Power cuts at any command of a store's life. `npm run sim:store` looks at many thousands; here is a sample of them.
 */
import { expect, test } from 'vitest'
import { Prng } from '../fakes/prng.js'
import { Life } from './life.js'

test.each([
  ['noeviction', 8],
  ['evict', 6],
  ['reinsert', 6],
] as const)('%s: what was flushed is there after a power cut, and nothing deleted, expired or torn is', async (eviction, lives) => {
  const prng = Prng.fromEnvironment(`store crash, ${eviction}`)
  let resets = 0
  let evictions = 0
  for (let life = 0; life < lives; life++) {
    const result = await new Life(prng.seed + life, eviction).run(15)
    resets += result.resets
    evictions += result.evictions
  }
  expect(resets).toBeGreaterThan(0)
  if (eviction !== 'noeviction') expect(evictions).toBeGreaterThan(lives)
})
