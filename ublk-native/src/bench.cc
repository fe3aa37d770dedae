// The same-fill scan for tests, and its speed beside memcpy and memset of the same buffers.
#include <lz4.h>
#include <zstd.h>

#include <cstring>
#include <ctime>
#include <string>

#include "fill-scan.h"
#include "napi-util.h"

namespace ublk {
namespace {

constexpr size_t ARENA_BYTES = 256U << 20;

const ScanVariant* variantArgument(const Napi::CallbackInfo& info, const std::string& name) {
  const ScanVariant* variant = findVariant(name.c_str());
  if (variant == nullptr) typeError(info.Env(), "this processor has no variant " + name);
  return variant;
}

Napi::Value scanVariantNames(const Napi::CallbackInfo& info) {
  const ScanVariant* variants;
  const size_t count = scanVariants(&variants);
  Napi::Array names = Napi::Array::New(info.Env(), count);
  for (size_t i = 0; i < count; i++) names.Set(static_cast<uint32_t>(i), variants[i].name);
  return names;
}

// fillScan(buffer, variant): boolean
Napi::Value fillScan(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Napi::Uint8Array bytes = arguments.bytes(0);
  const std::string name = arguments.string(1);
  if (!arguments.ok()) return info.Env().Undefined();
  const ScanVariant* variant = variantArgument(info, name);
  if (variant == nullptr) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), variant->scan(bytes.Data(), bytes.ByteLength()));
}

// fillBuffer(buffer, low, high, variant)
Napi::Value fillBuffer(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Napi::Uint8Array bytes = arguments.bytes(0);
  const auto low = static_cast<uint64_t>(arguments.integer(1, 0, UINT32_MAX));
  const auto high = static_cast<uint64_t>(arguments.integer(2, 0, UINT32_MAX));
  const std::string name = arguments.string(3);
  if (!arguments.ok()) return info.Env().Undefined();
  const ScanVariant* variant = variantArgument(info, name);
  if (variant != nullptr) variant->fill(bytes.Data(), bytes.ByteLength(), high << 32 | low);
  return info.Env().Undefined();
}

// Of this thread: what else the machine does costs it less than it costs a clock on the wall.
double cpuNs() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Runs `call(offset)` `iterations` times and returns the mean in nanoseconds.
template <typename Call>
double timed(size_t bytes, int64_t iterations, size_t stride, Call call) {
  const double begin = cpuNs();
  size_t offset = 0;
  for (int64_t i = 0; i < iterations; i++) {
    call(offset);
    asm volatile("" ::: "memory");  // each call counts, whatever the compiler can prove of it
    offset += stride;
    if (offset + bytes > ARENA_BYTES) offset = 0;
  }
  return (cpuNs() - begin) / static_cast<double>(iterations);
}

// benchNs(kind, bytes, iterations, strideBytes): nanoseconds a call
Napi::Value benchNs(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string kind = arguments.string(0);
  const auto bytes = static_cast<size_t>(arguments.integer(1, 8, ARENA_BYTES / 2));
  const int64_t iterations = arguments.integer(2, 1);
  const auto stride = static_cast<size_t>(arguments.integer(3, 0, ARENA_BYTES / 2));
  if (!arguments.ok()) return info.Env().Undefined();
  const size_t dash = kind.find('-');
  const std::string what = kind.substr(0, dash);
  const std::string name = dash == std::string::npos ? "best" : kind.substr(dash + 1);
  const ScanVariant* variant = variantArgument(info, name);
  if (variant == nullptr) return info.Env().Undefined();
  // One arena for what is read and one for what is written, touched before the clock starts.
  const size_t touched = stride == 0 ? bytes : ARENA_BYTES;
  Mapping source, target;
  const int both = PROT_READ | PROT_WRITE;
  const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
  if (source.map(-1, ARENA_BYTES, both, anonymous) != 0 ||
      target.map(-1, ARENA_BYTES, both, anonymous) != 0)
    return toNumber(info, -ENOMEM);
  std::memset(source.bytes, 0x5a, touched);
  std::memset(target.bytes, 0xa5, touched);
  bool all = true;
  double ns = -EINVAL;
  if (what == "scan")
    ns = timed(bytes, iterations, stride,
               [&](size_t at) { all &= variant->scan(source.bytes + at, bytes); });
  else if (what == "fill")
    ns = timed(bytes, iterations, stride,
               [&](size_t at) { variant->fill(target.bytes + at, bytes, 0x0102030405060708); });
  else if (what == "memcpy")
    ns = timed(bytes, iterations, stride,
               [&](size_t at) { std::memcpy(target.bytes + at, source.bytes + at, bytes); });
  else if (what == "memset")
    ns = timed(bytes, iterations, stride,
               [&](size_t at) { std::memset(target.bytes + at, 0x33, bytes); });
  return Napi::Number::New(info.Env(), all ? ns : -EIO);
}

// A buffer for one request, half a page away from where buffers of whole pages lie: copies between addresses that are equal
// in their low twelve bits are slow.
struct RequestBuffer {
  explicit RequestBuffer(size_t bytes) : room(bytes + 2 * PAGE_BYTES, 1) {}
  uint8_t* data() {
    const auto at = reinterpret_cast<uintptr_t>(room.data());
    return room.data() + (PAGE_BYTES - at % PAGE_BYTES) + PAGE_BYTES / 2;
  }
  std::vector<uint8_t> room;
};

// The pages in requests of so many bytes: nanoseconds that `call(page's place, request's bytes)` takes for all.
template <typename Call>
double timedPages(const Napi::Uint8Array& pages, size_t requestBytes, Call call) {
  const size_t count = pages.ByteLength() / requestBytes;
  const double ns = timed(requestBytes, static_cast<int64_t>(count), requestBytes, call);
  return ns * static_cast<double>(count);
}

// benchMedia(media, pages, offset, requestBytes, isOut): nanoseconds to store all pages from `offset` on, or to load them
Napi::Value benchMedia(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::shared_ptr<Media> media = findMedia(info.Env(), info[0]);
  Napi::Uint8Array pages = arguments.bytes(1);
  const auto offset = static_cast<uint64_t>(arguments.integer(2));
  const auto bytes = static_cast<size_t>(arguments.integer(3, PAGE_BYTES, ARENA_BYTES));
  const bool isOut = arguments.boolean(4);
  if (!arguments.ok()) return info.Env().Undefined();
  if (media == nullptr) return typeError(info.Env(), "media must be an open one of openMedia()");
  if (!media->contains(offset, pages.ByteLength())) return toNumber(info, -EINVAL);
  RequestBuffer target(bytes);
  int failed = 0;
  const double ns = timedPages(pages, bytes, [&](size_t at) {
    bool filled;
    const int result = isOut ? media->load(offset + at, target.data(), bytes)
                             : media->store(offset + at, pages.Data() + at, bytes, &filled);
    if (result < 0) failed = result;
  });
  return Napi::Number::New(info.Env(), failed < 0 ? failed : ns);
}

// benchPages(kind, pages, scratch, requestBytes, codec, level): nanoseconds for all pages. copy-in, copy-out, set: the C
// library. pack, unpack: the codec's own library. attempt, estimate: Codec, which tries each page, or the likely ones.
// `scratch` has 8 KiB a page: its packed bytes, and their number (0: stays as it is) in the last four.
Napi::Value benchPages(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string kind = arguments.string(0);
  Napi::Uint8Array pages = arguments.bytes(1);
  Napi::Uint8Array scratch = arguments.bytes(2);
  const auto bytes = static_cast<size_t>(arguments.integer(3, PAGE_BYTES, ARENA_BYTES));
  const auto codec = static_cast<uint32_t>(arguments.integer(4, CODEC_NONE, CODEC_ZSTD));
  const auto level = static_cast<int>(arguments.integer(5, 1, 22));
  if (!arguments.ok()) return info.Env().Undefined();
  constexpr size_t SLOT = 2 * PAGE_BYTES;
  if (scratch.ByteLength() / SLOT < pages.ByteLength() / PAGE_BYTES) return toNumber(info, -EINVAL);
  static std::vector<char> state(static_cast<size_t>(LZ4_sizeofState()));
  static ZSTD_CCtx* in = ZSTD_createCCtx();
  static ZSTD_DCtx* out = ZSTD_createDCtx();
  Codec ours;
  if (const int bad = ours.open(codec, level); bad != 0) return toNumber(info, bad);
  RequestBuffer target(bytes);
  auto* const request = reinterpret_cast<char*>(target.data());
  const auto* source = reinterpret_cast<const char*>(pages.Data());
  auto* store = reinterpret_cast<char*>(scratch.Data());
  const bool isLz4 = codec == CODEC_LZ4;
  const auto run = [&](auto pack) {
    const auto one = [&](size_t at) {
      const auto made = static_cast<uint32_t>(pack(source + at, store + 2 * at));
      std::memcpy(store + 2 * at + SLOT - sizeof made, &made, sizeof made);
    };
    one(0);  // a library's first call allocates
    return timedPages(pages, PAGE_BYTES, one);
  };
  const auto asBytes = [](auto* at) { return reinterpret_cast<uint8_t*>(const_cast<char*>(at)); };
  double ns = -EINVAL;
  if (kind == "copy-in")
    ns = timedPages(pages, bytes, [&](size_t at) { std::memcpy(store + at, source + at, bytes); });
  else if (kind == "copy-out")
    ns = timedPages(pages, bytes,
                    [&](size_t at) { std::memcpy(request, source + at, bytes); });
  else if (kind == "set")
    ns = timedPages(pages, bytes, [&](size_t) { std::memset(request, 0x33, bytes); });
  else if (kind == "pack")
    ns = run([&](const char* from, char* to) {
      if (!isLz4) return ZSTD_compressCCtx(in, to, SLOT - 4, from, PAGE_BYTES, level);
      return static_cast<size_t>(
          LZ4_compress_fast_extState(state.data(), from, to, PAGE_BYTES, SLOT - 4, 1));
    });
  else if (kind == "attempt")
    ns = run([&](const char* from, char* to) { return ours.attempt(asBytes(from), asBytes(to)); });
  else if (kind == "estimate")
    ns = run([&](const char* from, char* to) { return ours.compress(asBytes(from), asBytes(to)); });
  else if (kind == "unpack")
    ns = timedPages(pages, PAGE_BYTES, [&](size_t at) {
      uint32_t length;
      std::memcpy(&length, store + 2 * at + SLOT - sizeof length, sizeof length);
      char* to = request + at % bytes;
      if (isLz4)
        LZ4_decompress_safe(store + 2 * at, to, static_cast<int>(length), PAGE_BYTES);
      else
        ZSTD_decompressDCtx(out, to, PAGE_BYTES, store + 2 * at, length);
    });
  return Napi::Number::New(info.Env(), ns);
}

}  // namespace

void exportBench(Napi::Env env, Napi::Object exports) {
  exports.Set("scanVariants", Napi::Function::New<scanVariantNames>(env, "scanVariants"));
  exports.Set("fillScan", Napi::Function::New<fillScan>(env, "fillScan"));
  exports.Set("fillBuffer", Napi::Function::New<fillBuffer>(env, "fillBuffer"));
  exports.Set("benchMedia", Napi::Function::New<benchMedia>(env, "benchMedia"));
  exports.Set("benchPages", Napi::Function::New<benchPages>(env, "benchPages"));
  exports.Set("benchNs", Napi::Function::New<benchNs>(env, "benchNs"));
}

}  // namespace ublk
