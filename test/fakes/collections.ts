/**
 * Which garbage collections a child process made between its marks: it prints a line that begins with BEGIN, works, and prints
 * one that begins with END.
 */
import { execFileSync } from 'node:child_process'

/**
 * Code is optimized where it is found to be hot, not when another thread comes to it: else a busy machine sees slow code allocate.
 * And the child collects what its start has left before the first mark, so that a few objects there do not fill the cup.
 */
const FLAGS = ['--trace-gc', '--expose-gc', '--no-concurrent-recompilation']

export function collectionsBetweenMarks(args: readonly string[]): {
  marks: string[]
  collections: string[]
} {
  const output = execFileSync(process.execPath, [...FLAGS, ...args], { encoding: 'utf8' })
  const lines = output.split('\n')
  const begin = lines.findIndex(line => line.startsWith('BEGIN'))
  const end = lines.findIndex(line => line.startsWith('END'))
  if (begin < 0 || end < begin) throw new Error(`${args.join(' ')}: no marks in\n${output}`)
  const collections = lines.slice(begin + 1, end).filter(line => /Scavenge|Mark-Compact/.test(line))
  return { marks: [lines[begin]!, lines[end]!], collections }
}
