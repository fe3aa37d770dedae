/**
 * Numbers that pass from function to function without becoming objects: a double as an argument of a function that is not
 * inlined is a new object on V8's heap, a double in a Float64Array is not.
 */

/** The time of the operation, in ms since the epoch. */
export const NOW = 0
/** The deadline of the record at hand, in ms since the epoch; Infinity for none. */
export const DEADLINE = 1
export const CELL_COUNT = 2
