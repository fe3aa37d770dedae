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

// Runs `call(offset)` so many times, offsets going up to `end` and over again; returns the mean in nanoseconds.
template <typename Call>
double timed(size_t bytes, size_t iterations, size_t stride, size_t end, Call call) {
  const double begin = cpuNs();
  size_t offset = 0;
  for (size_t i = 0; i < iterations; i++) {
    call(offset);
    asm volatile("" ::: "memory");  // each call counts, whatever the compiler can prove of it
    offset += stride;
    if (offset + bytes > end) offset = 0;
  }
  return (cpuNs() - begin) / static_cast<double>(iterations);
}

// benchNs(kind, source, target, bytes, iterations, strideBytes): nanoseconds a call. A target of `bytes` is the same each time.
Napi::Value benchNs(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string kind = arguments.string(0);
  const Napi::Uint8Array from = arguments.bytes(1);
  Napi::Uint8Array to = arguments.bytes(2);
  const auto bytes = static_cast<size_t>(arguments.integer(3, 8));
  const auto iterations = static_cast<size_t>(arguments.integer(4, 1));
  const auto stride = static_cast<size_t>(arguments.integer(5));
  if (!arguments.ok()) return info.Env().Undefined();
  const size_t dash = kind.find('-');
  const std::string what = kind.substr(0, dash);
  const std::string name = dash == std::string::npos ? "best" : kind.substr(dash + 1);
  const ScanVariant* variant = variantArgument(info, name);
  if (variant == nullptr) return info.Env().Undefined();
  const size_t end = from.ByteLength();
  const bool moves = to.ByteLength() > bytes;
  if (end < bytes || to.ByteLength() < (moves ? end : bytes)) return toNumber(info, -EINVAL);
  const uint8_t* source = from.Data();
  uint8_t* target = to.Data();
  const auto into = [&](size_t at) { return moves ? target + at : target; };
  bool all = true;
  double ns = -EINVAL;
  const auto run = [&](auto call) { ns = timed(bytes, iterations, stride, end, call); };
  if (what == "scan")
    run([&](size_t at) { all &= variant->scan(source + at, bytes); });
  else if (what == "fill")
    run([&](size_t at) { variant->fill(into(at), bytes, 0x0102030405060708); });
  else if (what == "memcpy")
    run([&](size_t at) { std::memcpy(into(at), source + at, bytes); });
  else if (what == "memset")
    run([&](size_t at) { std::memset(into(at), 0x33, bytes); });
  return Napi::Number::New(info.Env(), all ? ns : -EIO);
}

// benchMedia(media, pages, target, offset, isOut): nanoseconds to store all pages from `offset` on, in requests as long as
// `target`, or to load as much into it
Napi::Value benchMedia(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::shared_ptr<Media> media = findMedia(info.Env(), info[0]);
  Napi::Uint8Array pages = arguments.bytes(1);
  Napi::Uint8Array target = arguments.bytes(2);
  const auto offset = static_cast<uint64_t>(arguments.integer(3));
  const bool isOut = arguments.boolean(4);
  if (!arguments.ok()) return info.Env().Undefined();
  if (media == nullptr) return typeError(info.Env(), "media must be an open one of openMedia()");
  const size_t bytes = target.ByteLength();
  const size_t all = pages.ByteLength();
  if (bytes == 0 || all < bytes || !media->contains(offset, all)) return toNumber(info, -EINVAL);
  int failed = 0;
  const double ns = timed(bytes, all / bytes, bytes, all, [&](size_t at) {
    bool filled;
    const int result = isOut ? media->load(offset + at, target.Data(), bytes)
                             : media->store(offset + at, pages.Data() + at, bytes, &filled);
    if (result < 0) failed = result;
  });
  return Napi::Number::New(info.Env(), failed < 0 ? failed : ns * static_cast<double>(all / bytes));
}

// benchPages(kind, pages, scratch, codec, level): nanoseconds for all pages. pack, unpack: the codec's own library. attempt,
// estimate: Codec, which tries each page, or the likely ones. `scratch` has 8 KiB a page: its packed bytes, and their number
// (0: stays as it is) in the last four.
Napi::Value benchPages(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string kind = arguments.string(0);
  Napi::Uint8Array pages = arguments.bytes(1);
  Napi::Uint8Array scratch = arguments.bytes(2);
  const auto codec = static_cast<uint32_t>(arguments.integer(3, CODEC_LZ4, CODEC_ZSTD));
  const auto level = static_cast<int>(arguments.integer(4, 1, 22));
  if (!arguments.ok()) return info.Env().Undefined();
  constexpr size_t SLOT = 2 * PAGE_BYTES;
  const size_t count = pages.ByteLength() / PAGE_BYTES;
  if (count == 0 || scratch.ByteLength() / SLOT < count) return toNumber(info, -EINVAL);
  static std::vector<char> state(static_cast<size_t>(LZ4_sizeofState()));
  static ZSTD_CCtx* in = ZSTD_createCCtx();
  static ZSTD_DCtx* out = ZSTD_createDCtx();
  Codec ours;
  if (const int bad = ours.open(codec, level); bad != 0) return toNumber(info, bad);
  const bool isLz4 = codec == CODEC_LZ4;
  char page[PAGE_BYTES];
  double ns = -EINVAL;
  const auto run = [&](auto call) {
    const auto one = [&](size_t at) {
      uint8_t* slot = scratch.Data() + 2 * at;
      auto* length = reinterpret_cast<uint32_t*>(slot + SLOT - sizeof(uint32_t));
      *length = static_cast<uint32_t>(call(pages.Data() + at, slot, *length));
    };
    if (kind != "unpack") one(0);  // a library's first call allocates
    ns = timed(PAGE_BYTES, count, PAGE_BYTES, pages.ByteLength(), one) * static_cast<double>(count);
  };
  const auto chars = [](uint8_t* bytes) { return reinterpret_cast<char*>(bytes); };
  if (kind == "pack")
    run([&](uint8_t* from, uint8_t* to, size_t) {
      if (!isLz4) return ZSTD_compressCCtx(in, to, SLOT - 4, from, PAGE_BYTES, level);
      return static_cast<size_t>(LZ4_compress_fast_extState(state.data(), chars(from), chars(to),
                                                            PAGE_BYTES, SLOT - 4, 1));
    });
  else if (kind == "unpack")
    run([&](uint8_t*, uint8_t* from, size_t length) {
      if (isLz4) LZ4_decompress_safe(chars(from), page, static_cast<int>(length), PAGE_BYTES);
      else ZSTD_decompressDCtx(out, page, PAGE_BYTES, from, length);
      return length;
    });
  else if (kind == "attempt")
    run([&](uint8_t* from, uint8_t* to, size_t) { return ours.attempt(from, to); });
  else if (kind == "estimate")
    run([&](uint8_t* from, uint8_t* to, size_t) { return ours.compress(from, to); });
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
