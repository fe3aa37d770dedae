/**
 * A DataView of the array that a caller uses again and again: word by word is the fastest way to copy some hundred bytes between two
 * buffers without garbage, and a view of a new array costs more than it saves. So one is made when an array comes a second time in a
 * row, and kept until another does. It keeps that array alive as long.
 */
const EMPTY: Uint8Array = new Uint8Array(0)

export class KeptView {
  #array: Uint8Array = EMPTY
  #last: Uint8Array = EMPTY
  view: DataView = new DataView(EMPTY.buffer)

  /** True: `view` is of this array. */
  isOf(array: Uint8Array): boolean {
    if (array === this.#array) return true
    const isSecondTime = array === this.#last
    this.#last = array
    if (!isSecondTime) return false
    this.#array = array
    this.view = new DataView(array.buffer, array.byteOffset, array.byteLength)
    return true
  }
}

/** Copies `count` bytes from `at` on to `start` on, word by word. */
export function copyWords(
  from: DataView,
  at: number,
  to: DataView,
  start: number,
  count: number,
): void {
  let i = 0
  for (; i + 8 <= count; i += 8) {
    to.setUint32(start + i, from.getUint32(at + i, true), true)
    to.setUint32(start + i + 4, from.getUint32(at + i + 4, true), true)
  }
  for (; i < count; i++) to.setUint8(start + i, from.getUint8(at + i))
}
