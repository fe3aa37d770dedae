// Mappings as ArrayBuffers, kicks, and what keeps the process in memory.
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "napi-util.h"

namespace ublk {
int openShared(const std::string& path, int64_t bytes, bool create, const char** syscall) {
  *syscall = "open";
  const int flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0);
  const int fd = open(path.c_str(), flags, 0600);
  if (fd < 0) return -errno;
  int result = 0;
  struct stat status {};
  if (create) {
    // Reserved at once: later, memory that has run out would be SIGBUS at a store.
    *syscall = "fallocate";
    result = -posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  } else if (fstat(fd, &status) != 0) {
    result = -errno;
  } else if (status.st_size != bytes) {
    *syscall = "map (the file has another size)";
    result = -EINVAL;
  }
  if (result == 0) return fd;
  close(fd);
  return result;
}

namespace {

constexpr int PRCTL_SET_IO_FLUSHER = 57;

// The buffer holds the mapping alive, and lets go of it when it is collected.
Napi::Value share(Napi::Env env, const std::shared_ptr<Mapping>& mapping) {
  const auto release = [](Napi::Env, void*, std::shared_ptr<Mapping>* held) { delete held; };
  return Napi::ArrayBuffer::New(env, mapping->bytes, mapping->length, release,
                                new std::shared_ptr<Mapping>(mapping));
}

// mapShared(path, bytes, create): ArrayBuffer | Outcome
Napi::Value mapShared(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const std::string path = arguments.string(0);
  const int64_t bytes = arguments.integer(1, 1);
  const bool create = arguments.boolean(2);
  if (!arguments.ok()) return env.Undefined();
  const char* syscall;
  const int fd = openShared(path, bytes, create, &syscall);
  if (fd < 0) return toObject(env, {syscall, fd});
  auto mapping = std::make_shared<Mapping>();
  const auto size = static_cast<size_t>(bytes);
  const int bad = mapping->map(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED);
  close(fd);
  if (bad != 0) return toObject(env, {"mmap", bad});
  env.GetInstanceData<AddonState>()->mappings[mapping->bytes] = mapping;
  return share(env, mapping);
}

// mapLazy(bytes, isHuge): ArrayBuffer | Outcome. At most 2 GiB (Node makes no larger ones of foreign memory) of zeros, whose memory is taken page by page as they are written.
Napi::Value mapLazy(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const auto size = static_cast<size_t>(arguments.integer(0, 1, int64_t{1} << 31));
  const bool isHuge = arguments.boolean(1);
  if (!arguments.ok()) return env.Undefined();
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return toObject(env, {"mmap", -errno});
  madvise(at, size, isHuge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  auto mapping = std::make_shared<Mapping>();
  mapping->bytes = static_cast<uint8_t*>(at);
  mapping->length = size;
  env.GetInstanceData<AddonState>()->mappings[at] = mapping;
  return share(env, mapping);
}

// giveBack(buffer, offset, bytes): 0 | -errno. Whole pages of a buffer of mapLazy() are zeros again, and take no memory.
Napi::Value giveBack(const Napi::CallbackInfo& info) {
  if (!info[0].IsArrayBuffer()) return typeError(info.Env(), "argument 0 must be an ArrayBuffer");
  Arguments arguments(info);
  const auto offset = static_cast<size_t>(arguments.integer(1));
  const auto bytes = static_cast<size_t>(arguments.integer(2));
  if (!arguments.ok()) return info.Env().Undefined();
  const auto& mappings = info.Env().GetInstanceData<AddonState>()->mappings;
  const auto found = mappings.find(info[0].As<Napi::ArrayBuffer>().Data());
  const auto mapping = found == mappings.end() ? nullptr : found->second.lock();
  if (mapping == nullptr || offset + bytes > mapping->length) return toNumber(info, -EINVAL);
  const int bad = madvise(mapping->bytes + offset, bytes, MADV_DONTNEED);
  return toNumber(info, bad == 0 ? 0 : -errno);
}

// unmapShared(buffer): 0 | -errno
Napi::Value unmapShared(const Napi::CallbackInfo& info) {
  if (!info[0].IsArrayBuffer()) return typeError(info.Env(), "argument 0 must be an ArrayBuffer");
  Napi::ArrayBuffer buffer = info[0].As<Napi::ArrayBuffer>();
  auto& mappings = info.Env().GetInstanceData<AddonState>()->mappings;
  const auto found = mappings.find(buffer.Data());
  if (found == mappings.end()) return toNumber(info, -EINVAL);
  const std::shared_ptr<Mapping> mapping = found->second.lock();
  if (mapping == nullptr || mapping->bytes != buffer.Data()) return toNumber(info, -EINVAL);
  mappings.erase(found);
  buffer.Detach();
  mapping->unmap();
  return toNumber(info, 0);
}

Napi::Value createMemfd(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string name = arguments.string(0);
  if (!arguments.ok()) return info.Env().Undefined();
  const int fd = memfd_create(name.c_str(), MFD_CLOEXEC);
  return toNumber(info, fd < 0 ? -errno : fd);
}

// kick(fd, forever): 0 | -errno. See Queue::onKick for the number that means `for ever`.
Napi::Value kick(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto fd = static_cast<int>(arguments.integer(0, 0, INT32_MAX));
  const uint64_t value = arguments.boolean(1) ? uint64_t{1} << 32 : 1;
  if (!arguments.ok()) return info.Env().Undefined();
  const ssize_t written = write(fd, &value, sizeof value);
  return toNumber(info, written == sizeof value ? 0 : -errno);
}

// seekFile(fd, offset, isHole): where the next byte, or the next hole, of a sparse file is | -errno (ENXIO: none)
Napi::Value seekFile(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto fd = static_cast<int>(arguments.integer(0, 0, INT32_MAX));
  const int64_t offset = arguments.integer(1);
  const int whence = arguments.boolean(2) ? SEEK_HOLE : SEEK_DATA;
  if (!arguments.ok()) return info.Env().Undefined();
  const off_t found = lseek(fd, offset, whence);
  return toNumber(info, found < 0 ? -errno : found);
}

Napi::Value setIoFlusher(const Napi::CallbackInfo& info) {
  return toNumber(info, prctl(PRCTL_SET_IO_FLUSHER, 1, 0, 0, 0) == 0 ? 0 : -errno);
}

// scheduleAsBatch(isBatch): 0 | -errno. Of this thread alone.
Napi::Value scheduleAsBatch(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int policy = arguments.boolean(0) ? SCHED_BATCH : SCHED_OTHER;
  if (!arguments.ok()) return info.Env().Undefined();
  const sched_param none{};
  return toNumber(info, sched_setscheduler(0, policy, &none) == 0 ? 0 : -errno);
}

Napi::Value threadId(const Napi::CallbackInfo& info) {
  return toNumber(info, syscall(SYS_gettid));
}

}  // namespace

void exportSharedMemory(Napi::Env env, Napi::Object exports) {
  exports.Set("mapShared", Napi::Function::New<mapShared>(env, "mapShared"));
  exports.Set("unmapShared", Napi::Function::New<unmapShared>(env, "unmapShared"));
  exports.Set("mapLazy", Napi::Function::New<mapLazy>(env, "mapLazy"));
  exports.Set("giveBack", Napi::Function::New<giveBack>(env, "giveBack"));
  exports.Set("createMemfd", Napi::Function::New<createMemfd>(env, "createMemfd"));
  exports.Set("kick", Napi::Function::New<kick>(env, "kick"));
  exports.Set("seekFile", Napi::Function::New<seekFile>(env, "seekFile"));
  exports.Set("setIoFlusher", Napi::Function::New<setIoFlusher>(env, "setIoFlusher"));
  exports.Set("scheduleAsBatch",
              Napi::Function::New<scheduleAsBatch>(env, "scheduleAsBatch"));
  exports.Set("gettid", Napi::Function::New<threadId>(env, "gettid"));
}

}  // namespace ublk
