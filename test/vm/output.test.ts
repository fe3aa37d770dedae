/** The end mark of the guest's output: found wherever a chunk is cut, and never taken for output. */
import { describe, expect, it } from 'vitest'
import { END_MARK } from '../../vm/initramfs.js'
import { MarkedOutput } from '../../vm/output.js'

const NONCE = 'c0ffee'
const MARK = END_MARK + NONCE

function pass(chunks: readonly string[]): { text: string; marks: number } {
  const output = new MarkedOutput(NONCE)
  let text = ''
  let marks = 0
  output.on('mark', () => {
    marks += 1
  })
  for (const chunk of chunks) output.write(Buffer.from(chunk, 'latin1'))
  output.end()
  for (let part = output.read(); part !== null; part = output.read()) {
    text += (part as Buffer).toString('latin1')
  }
  return { text, marks }
}

describe('MarkedOutput', () => {
  it('finds the mark however the stream is cut', () => {
    const whole = `some output\0\0${MARK}`
    for (let cut = 0; cut <= whole.length; cut += 1) {
      const result = pass([whole.slice(0, cut), whole.slice(cut)])
      expect(result).toEqual({ text: 'some output\0\0', marks: 1 })
    }
    expect(pass([...whole])).toEqual({ text: 'some output\0\0', marks: 1 })
  })
  it('lets through what only looks like a mark', () => {
    const text = `a${END_MARK}another-nonce\0\0zslab-end`
    expect(pass([...text])).toEqual({ text, marks: 0 })
    expect(pass([text])).toEqual({ text, marks: 0 })
  })
  it('passes every byte value', () => {
    const bytes = String.fromCharCode(...Array.from({ length: 256 }, (_, value) => value))
    expect(pass([bytes, MARK])).toEqual({ text: bytes, marks: 1 })
  })
})
