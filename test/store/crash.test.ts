/**
 * Power cuts at any command of a store's life. `npm run sim:store` looks at many thousands; here is a sample of them.
 */
import { expect, test } from 'vitest'
import { Prng } from '../fakes/prng.js'
import { Life } from './life.js'

test('what was flushed is there after a power cut, and nothing deleted, expired or torn is', async () => {
  const prng = Prng.fromEnvironment('store crash')
  let resets = 0
  for (let life = 0; life < 12; life++) {
    resets += (await new Life(prng.seed + life).run(15)).resets
  }
  expect(resets).toBeGreaterThan(0)
})
