/**
 * vm: runs a command in a throwaway virtual machine whose kernel has ublk, on this machine's own file system.
 *
 * Goals: one call, no image to build, nothing installed, nothing left behind; output, input and exit code as if the command
 * ran here; kernels that are downloaded once, verified always and usable offline.
 * Non-goals: other architectures than x86-64, networks in the guest, guests that live longer than a command.
 */
export { cacheRoot, type KernelManifest } from './cache.js'
export { VmError, type VmErrorCode } from './errors.js'
export { kernelWarnings } from './kernel-log.js'
export { DEFAULT_SERIES, ensureKernel, KERNEL_SERIES, type Kernel } from './kernels.js'
export { runInVm, type VmOptions, type VmResult } from './machine.js'
export { type MissingProgram, vmRequirements } from './requirements.js'
