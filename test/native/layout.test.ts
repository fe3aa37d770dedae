/** The two copies of every shared number agree, and the loader refuses an addon where they do not. */
import { expect, test } from 'vitest'
import { addon } from '../../ublk-native/addon.js'
import { assertLayout, EXPECTED_LAYOUT } from '../../ublk-native/layout.js'

test('the addon was compiled from the numbers that layout.ts states', () => {
  expect(addon().LAYOUT).toEqual(EXPECTED_LAYOUT)
})

test.each(Object.keys(EXPECTED_LAYOUT))('a wrong or missing %s is refused by name', name => {
  const wrong = { ...EXPECTED_LAYOUT, [name]: EXPECTED_LAYOUT[name]! + 1 }
  expect(() => assertLayout(wrong)).toThrow(new RegExp(`\\b${name}\\b.*npm run build`))
  const { [name]: _, ...missing } = EXPECTED_LAYOUT
  expect(() => assertLayout(missing)).toThrow(name)
})

test('a number that only the addon has is refused too', () => {
  expect(() => assertLayout({ ...EXPECTED_LAYOUT, NEWER: 1 })).toThrow('NEWER')
})
