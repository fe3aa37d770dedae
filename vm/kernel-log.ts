/**
 * Reads a kernel log for what no test may leave behind: BUGs, WARNINGs, oopses, lockups, hung tasks, corruption.
 *
 * Pure. The allowlist is short and every entry says why: a warning of the machine that we boot on is not one of ours.
 */

const COMPLAINTS: readonly RegExp[] = [
  /\bBUG: /,
  /\bWARNING: /,
  /\bOops\b/,
  /\bKASAN: |\bUBSAN: |\bKCSAN: |\bKFENCE: /,
  /general protection fault/,
  /unable to handle (kernel|page fault)/i,
  /blocked for more than \d+ seconds/,
  /(soft|hard) lockup/i,
  /self-detected stall|detected stalls on CPUs/,
  /list_(add|del) corruption/,
  /refcount_t: /,
  /Kernel panic/,
  /kernel BUG at/,
  /possible (circular|recursive) locking|inconsistent lock state|suspicious RCU usage/i,
  /slab .*(corrupt|overwritten|poison)|Redzone overwritten/i,
  /Out of memory: Killed process|oom-kill:/,
  /page allocation failure/,
  /stack guard page was hit|double fault/,
  /Bad page (state|map)/,
  /scheduling while atomic|sleeping function called from invalid context/,
]

const ALLOWED: readonly RegExp[] = [
  // Debian's 7.x says this of every out-of-date virtual CPU's microcode; TCG has none.
  /WARNING: .*microcode/i,
  // mitigations=off is ours: the guest runs nothing but its owner's own programs.
  /Spectre|MDS|TAA|MMIO Stale Data|SRSO|RETBleed/i,
]

/** The lines of `log` that tell of a kernel gone wrong, trimmed, in order, equal lines once. */
export function kernelWarnings(log: string): string[] {
  const found = new Set<string>()
  for (const raw of log.split(/\r?\n/)) {
    const line = raw.trimEnd()
    if (!COMPLAINTS.some(pattern => pattern.test(line))) continue
    if (ALLOWED.some(pattern => pattern.test(line))) continue
    found.add(line)
  }
  return [...found]
}

/** The last `count` lines, for an error message. */
export function logTail(log: string, count = 25): string {
  return log
    .split(/\r?\n/)
    .filter(line => line.trim() !== '')
    .slice(-count)
    .join('\n')
}
