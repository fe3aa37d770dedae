/** A sample of `npm run sim`: power cuts at every event of a few simulated drives. Replay: npm run sim -- --seed N [--faults]. */
import { expect, test } from 'vitest'
import { Simulation } from '../sim/life.js'
import { random } from './random.js'

const POINTS = 150

test.each([
  false,
  true,
])('drives come back from power cuts (failing calls: %s)', async hasFaults => {
  const { seed } = random(`power cuts, failing calls ${hasFaults}`)
  let points = 0
  let flushes = 0
  for (let next = seed; points < POINTS; next++) {
    const result = await new Simulation(next, hasFaults, POINTS - points).run()
    points += result.points
    flushes += result.flushes
  }
  expect(points).toBe(POINTS)
  expect(flushes).toBeGreaterThan(0)
})
