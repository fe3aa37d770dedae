/** Crashes on a bug of ours; never for what a user or a device may do. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${what}`)
}
