/**
 * The zone word: condition, busy bit and write pointer of a zone in one Int32 (docs/BOUNDARY.md).
 *
 * ```
 *  31      28 27  26                          0
 * ┌──────────┬───┬─────────────────────────────┐
 * │ cond:4   │ b │ wp:27                       │   wp: sectors from the zone's start
 * └──────────┴───┴─────────────────────────────┘
 * ```
 */
import type { ZoneCondition } from './uapi.js'

export const CONDITION_SHIFT = 28
export const BUSY = 1 << 27
export const WP_MASK = BUSY - 1

/** A word that nobody is changing, as a signed 32-bit number (as Atomics give it). */
export function packWord(condition: ZoneCondition, wpSectors: number): number {
  return (condition << CONDITION_SHIFT) | wpSectors
}

/** The condition in a word, busy or not. */
export function conditionOf(word: number): ZoneCondition {
  return (word >>> CONDITION_SHIFT) as ZoneCondition
}

/** The write pointer in a word, in sectors from the zone's start. */
export function wpOf(word: number): number {
  return word & WP_MASK
}
