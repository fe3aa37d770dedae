/**
 * The error of the throwaway VM: a stable `code` to branch on and a message that says what to do next.
 *
 * ERR_VM_REQUIREMENTS  a program is missing            ERR_VM_KERNEL    no such kernel series
 * ERR_VM_DOWNLOAD      mirror unreachable or wrong     ERR_VM_CHECKSUM  what was downloaded or cached is not what it says
 * ERR_VM_BOOT          the guest never reached init    ERR_VM_PANIC     the guest's kernel died
 * ERR_VM_TIMEOUT       the command took too long       ERR_VM_INTERRUPTED  a signal ended the VM
 */
export type VmErrorCode =
  | 'ERR_VM_REQUIREMENTS'
  | 'ERR_VM_KERNEL'
  | 'ERR_VM_DOWNLOAD'
  | 'ERR_VM_CHECKSUM'
  | 'ERR_VM_BOOT'
  | 'ERR_VM_PANIC'
  | 'ERR_VM_TIMEOUT'
  | 'ERR_VM_INTERRUPTED'

export class VmError extends Error {
  readonly code: VmErrorCode

  constructor(code: VmErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'VmError'
    this.code = code
  }
}
