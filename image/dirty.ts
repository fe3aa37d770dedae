/**
 * Which blocks of `pages` have changed since they were last made durable: two bitmaps in shared memory, a bit a block.
 *
 * The media sets bits of `dirty` after it has changed something. A commit moves them to `flushing` before it copies the blocks,
 * and clears `flushing` when they are durable; when it fails, or its process dies, they go back. In every order of events a
 * block that has changed has a bit in one of the two: a bit is set in `flushing` before it is cleared in `dirty`.
 */
export class DirtyBlocks {
  /** @param dirty - the file's words, shared with the media of all threads; `flushing` is the committing thread's */
  constructor(
    private readonly dirty: Int32Array,
    private readonly flushing: Int32Array,
  ) {}

  /** Moves the bits of blocks from `first` on, and adds the blocks to `taken`. What is copied after this is new enough. */
  take(first: number, taken: Set<number>): void {
    for (let index = first >>> 5; index < this.dirty.length; index++) {
      const mask = index === first >>> 5 ? -1 << (first & 31) : -1
      const bits = Atomics.load(this.dirty, index) & mask
      if (bits === 0) continue
      Atomics.or(this.flushing, index, bits)
      Atomics.and(this.dirty, index, ~bits)
      for (let bit = 0; bit < 32; bit++) if ((bits & (1 << bit)) !== 0) taken.add(index * 32 + bit)
    }
  }

  /** Marks a block as changed. */
  mark(block: number): void {
    Atomics.or(this.dirty, block >>> 5, 1 << (block & 31))
  }

  /** What was taken is durable. */
  settle(): void {
    this.flushing.fill(0)
  }

  /** What was taken has to be taken again. */
  giveBack(): void {
    for (let index = 0; index < this.dirty.length; index++) {
      const bits = this.flushing[index]!
      if (bits !== 0) Atomics.or(this.dirty, index, bits)
    }
    this.flushing.fill(0)
  }
}
