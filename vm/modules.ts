/**
 * Kernel modules without depmod: what a `.ko` says of itself, and which must be loaded before which.
 *
 * A Debian kernel package has no modules.dep (its postinst runs depmod), but every module carries the same facts in its
 * `.modinfo` section as NUL-terminated `key=value` strings.
 * Guarantees: `loadOrder` lists every module after all that it depends on, each once.
 */

export interface ModuleInfo {
  /** With underscores, as the kernel knows it. */
  readonly name: string
  /** Names of modules that must be there first: `depends`, and `softdep pre`. */
  readonly depends: readonly string[]
  /** Module of `depends` that may be missing from the set (soft, or built in). */
  readonly optional: readonly string[]
  /** What request_module() may ask for: shell-style patterns, e.g. `fs-btrfs`. */
  readonly aliases: readonly string[]
}

/** `9pnet_virtio.ko.xz` -> `9pnet_virtio`, `dm-zoned.ko` -> `dm_zoned`. */
export function moduleName(file: string): string {
  const base = file.slice(file.lastIndexOf('/') + 1)
  return base.replace(/\.ko(\.xz|\.zst|\.gz)?$/, '').replaceAll('-', '_')
}

const dashless = (name: string): string => name.replaceAll('-', '_')

/** Reads a plain (decompressed) module. `name` is that of its file: old modules do not say theirs. */
export function moduleInfo(name: string, ko: Buffer): ModuleInfo {
  const values = (key: string): string[] => {
    const found: string[] = []
    const needle = Buffer.from(`\0${key}=`)
    for (let at = ko.indexOf(needle); at >= 0; at = ko.indexOf(needle, at + 1)) {
      const start = at + needle.length
      found.push(ko.toString('latin1', start, ko.indexOf(0, start)))
    }
    return found
  }
  const hard = values('depends').flatMap(list => list.split(',').filter(word => word !== ''))
  const soft = values('softdep').flatMap(text => {
    const before = /pre:\s*([^:]*?)(?:\s*post:|$)/.exec(text)?.[1] ?? ''
    return before.split(/\s+/).filter(word => word !== '')
  })
  return {
    name,
    depends: [...new Set([...hard, ...soft].map(dashless))],
    optional: soft.map(dashless),
    aliases: values('alias').filter(alias =>
      /^(?!pci:|acpi:|usb:|of:)[a-zA-Z0-9_:*?-]+$/.test(alias),
    ),
  }
}

/** `wanted` and all they depend on, dependencies first. Names not in `infos` are reported as missing, optional ones passed over. */
export function loadOrder(
  wanted: readonly string[],
  infos: ReadonlyMap<string, ModuleInfo>,
): { order: string[]; missing: string[] } {
  const byAlias = new Map<string, ModuleInfo>()
  for (const info of infos.values()) {
    for (const alias of info.aliases) byAlias.set(dashless(alias), info)
  }
  const order: string[] = []
  const missing: string[] = []
  const seen = new Set<string>()
  const visit = (name: string, isOptional: boolean): void => {
    // A soft dependency is often an alias: btrfs asks for "crypto-crc32c", whoever that is in this kernel.
    const info = infos.get(name) ?? byAlias.get(name)
    if (info === undefined) {
      if (!isOptional) missing.push(name)
      return
    }
    if (seen.has(info.name)) return
    seen.add(info.name)
    for (const dependency of info.depends) visit(dependency, info.optional.includes(dependency))
    order.push(info.name)
  }
  for (const name of wanted) visit(name, false)
  return { order, missing }
}
