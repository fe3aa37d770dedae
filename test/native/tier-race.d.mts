/** What tier-race.mjs gives to its test. */
import type { Worker } from 'node:worker_threads'
import type { MediaOptions } from '../../ublk-native/index.js'

export const BLOCK: number
export const BLOCKS: number
export const REGION_BYTES: number
export const REGIONS: number
export const WRITERS: number
export const journalBytes: number
export const GENERATION: number
export const WP: number
export const OP: number
export const OP_FROM: number
export const OP_TO: number
export const OP_NONE: number
export const OP_APPEND: number
export const OP_REWRITE: number
export const OP_RESET: number

export function mediaOptions(directory: string): Omit<MediaOptions, 'create'> & { tier: string }
export function journalOf(
  buffer: ArrayBufferLike,
  region: number,
): { words: Int32Array; versions: Uint8Array }
export function fillBlock(
  target: Uint8Array,
  region: number,
  generation: number,
  block: number,
  version: number,
): Uint8Array
export function startThreads(
  task: { url: string; directory: string; seed: number; steps: number; waits: boolean },
  env: NodeJS.ProcessEnv,
): Worker[]
