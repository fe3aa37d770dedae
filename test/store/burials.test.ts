/**
 * Writers wait while too many older copies are being looked for, and each of them goes on as soon as there is room.
 */
import { expect, test, vi } from 'vitest'
import { Burials } from '../../store/burials.js'

/** As many may be under way. */
const CROWD = 1024

async function turns(): Promise<void> {
  for (let each = 0; each < 10; each++) await Promise.resolve()
}

test('room comes when a burial ends, for all who wait', async () => {
  const ends: (() => void)[] = []
  const burials = new Burials({ buryOlder: () => new Promise<void>(end => ends.push(end)) })
  const add = () => burials.add(new Uint8Array(1), [])
  for (let each = 0; each < CROWD; each++) add()
  expect(burials.isCrowded).toBe(false)
  await burials.room()
  add()
  add()
  expect(burials.isCrowded).toBe(true)
  let waiting = 3
  for (let each = 0; each < 3; each++) void burials.room().then(() => waiting--)
  ends.pop()!()
  await turns()
  expect(waiting).toBe(3)
  ends.pop()!()
  await turns()
  expect(waiting).toBe(0)
  let isSettled = false
  void burials.settled().then(() => {
    isSettled = true
  })
  await turns()
  expect(isSettled).toBe(false)
  for (const end of ends) end()
  await turns()
  expect(isSettled).toBe(true)
})

test('waiting costs the same however many are under way', async () => {
  const ends: (() => void)[] = []
  const burials = new Burials({ buryOlder: () => new Promise<void>(end => ends.push(end)) })
  for (let each = 0; each < CROWD + 100; each++) burials.add(new Uint8Array(1), [])
  // A race would add a reaction to each of them, for each who waits.
  const races = vi.spyOn(Promise, 'race')
  const rooms = Array.from({ length: 50 }, () => burials.room())
  for (const end of ends.splice(0, 100)) end()
  await Promise.all(rooms)
  expect(races.mock.calls.length).toBe(0)
  races.mockRestore()
})
