// A mapping that unmaps itself.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace ublk {

struct Mapping {
  uint8_t* bytes = nullptr;
  size_t length = 0;

  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : bytes(std::exchange(other.bytes, nullptr)), length(std::exchange(other.length, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    if (this != &other) {
      unmap();
      bytes = std::exchange(other.bytes, nullptr);
      length = std::exchange(other.length, 0);
    }
    return *this;
  }
  ~Mapping() { unmap(); }

  // Returns 0 or -errno.
  int map(int fd, size_t size, int protection, int flags, uint64_t offset = 0) {
    void* at = mmap(nullptr, size, protection, flags, fd, static_cast<off_t>(offset));
    if (at == MAP_FAILED) return -errno;
    // What serves a file system's write-back must not be swapped out by it. Page by page as they are touched, and as far as
    // we may (RLIMIT_MEMLOCK). Only our own mappings: V8 gives memory back by MADV_DONTNEED, which locked memory refuses,
    // and takes the refusal for a bug, so mlockall() ends the process sooner or later.
    mlock2(at, size, MLOCK_ONFAULT);
    unmap();
    bytes = static_cast<uint8_t*>(at);
    length = size;
    return 0;
  }

  void unmap() {
    if (bytes != nullptr) munmap(bytes, length);
    bytes = nullptr;
    length = 0;
  }
};

// A file of `bytes` for a mapping; `create` makes it, with its memory. Returns a descriptor or -errno: `syscall` says of what.
int openShared(const std::string& path, int64_t bytes, bool create, const char** syscall);

}  // namespace ublk
