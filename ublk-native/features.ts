/**
 * Which kernels may be asked, and for what.
 */
import {
  UBLK_F_CMD_IOCTL_ENCODE,
  UBLK_F_USER_COPY,
  UBLK_F_USER_RECOVERY,
  UBLK_F_USER_RECOVERY_REISSUE,
  UBLK_F_ZONED,
} from './layout.js'

/**
 * Kernels with 529d4d632788 and without 011af85ccd87 oops in the first
 * ADD_DEV and leave its caller unkillable. Ubuntu's cloud kernels took the first as a backport.
 */
const CRASHING: readonly RegExp[] = [
  /^6\.18\.[45](?:$|[^\d.])/,
  /^6\.17\.0-(?:1015|1018)-azure$/,
  /^6\.17\.0-1017-aws$/,
]

/** Why ADD_DEV must not be tried on this kernel (`uname -r`), with what to do; null when nothing is known against it. */
export function refusedKernel(release: string): string | null {
  const match = /^(\d+)\.(\d+)/.exec(release)
  if (match === null) return null
  const major = Number(match[1])
  const minor = Number(match[2])
  if (major < 6 || (major === 6 && minor < 6))
    return `Linux ${release} has no zoned ublk devices: use Linux 6.6 or newer`
  if (!CRASHING.some(pattern => pattern.test(release))) return null
  return `Linux ${release} is known to crash when a ublk device is made (fixed in 6.18.6): use another kernel`
}

/** Features that a zoned device cannot be without. */
export const REQUIRED_FEATURES = UBLK_F_ZONED | UBLK_F_USER_COPY | UBLK_F_CMD_IOCTL_ENCODE

/** What to ask ADD_DEV for. Throws nothing: compare what it grants (the kernel drops unknown flags silently). */
export function featuresToRequest(options: { recovery: boolean }): number {
  return options.recovery
    ? REQUIRED_FEATURES | UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE
    : REQUIRED_FEATURES
}

/** The required features that are not in a features word, by name. */
export function missingFeatures(features: number): string[] {
  const missing: string[] = []
  if ((features & UBLK_F_ZONED) === 0)
    missing.push('UBLK_F_ZONED (Linux 6.6, CONFIG_BLK_DEV_ZONED)')
  if ((features & UBLK_F_USER_COPY) === 0) missing.push('UBLK_F_USER_COPY (Linux 6.5)')
  if ((features & UBLK_F_CMD_IOCTL_ENCODE) === 0)
    missing.push('UBLK_F_CMD_IOCTL_ENCODE (Linux 6.4)')
  return missing
}
