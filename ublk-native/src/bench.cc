// The same-fill scan for tests, and its speed beside memcpy and memset of the same buffers.
#include <lz4.h>
#include <zstd.h>

#include <chrono>
#include <cstring>
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

// Runs `call(offset)` `iterations` times and returns the mean in nanoseconds.
template <typename Call>
double timed(size_t bytes, int64_t iterations, size_t stride, Call call) {
  const auto begin = std::chrono::steady_clock::now();
  size_t offset = 0;
  for (int64_t i = 0; i < iterations; i++) {
    call(offset);
    asm volatile("" ::: "memory");  // each call counts, whatever the compiler can prove of it
    offset += stride;
    if (offset + bytes > ARENA_BYTES) offset = 0;
  }
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
  return taken.count() / static_cast<double>(iterations);
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

// benchCodec(pages, codec, level, isOut): nanoseconds that the library itself takes for all pages, in or out.
Napi::Value benchCodec(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Napi::Uint8Array pages = arguments.bytes(0);
  const int64_t codec = arguments.integer(1, CODEC_LZ4, CODEC_ZSTD);
  const auto level = static_cast<int>(arguments.integer(2, 1, 22));
  const bool isOut = arguments.boolean(3);
  if (!arguments.ok()) return info.Env().Undefined();
  const size_t count = pages.ByteLength() / PAGE_BYTES;
  constexpr size_t SLOT = 2 * PAGE_BYTES;
  std::vector<char> packed(count * SLOT), state(static_cast<size_t>(LZ4_sizeofState()));
  std::vector<size_t> lengths(count);
  char page[PAGE_BYTES];
  ZSTD_CCtx* in = ZSTD_createCCtx();
  ZSTD_DCtx* out = ZSTD_createDCtx();
  const auto* source = reinterpret_cast<const char*>(pages.Data());
  const auto pack = [&](size_t i) {
    const char* from = source + i * PAGE_BYTES;
    char* to = packed.data() + i * SLOT;
    lengths[i] = codec == CODEC_LZ4
                     ? static_cast<size_t>(
                           LZ4_compress_fast_extState(state.data(), from, to, PAGE_BYTES, SLOT, 1))
                     : ZSTD_compressCCtx(in, to, SLOT, from, PAGE_BYTES, level);
  };
  const auto unpack = [&](size_t i) {
    const char* from = packed.data() + i * SLOT;
    if (codec == CODEC_LZ4)
      LZ4_decompress_safe(from, page, static_cast<int>(lengths[i]), PAGE_BYTES);
    else
      ZSTD_decompressDCtx(out, page, PAGE_BYTES, from, lengths[i]);
  };
  if (isOut)
    for (size_t i = 0; i < count; i++) pack(i);
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < count; i++) isOut ? unpack(i) : pack(i);
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
  ZSTD_freeCCtx(in);
  ZSTD_freeDCtx(out);
  return Napi::Number::New(info.Env(), taken.count());
}

}  // namespace

void exportBench(Napi::Env env, Napi::Object exports) {
  exports.Set("scanVariants", Napi::Function::New<scanVariantNames>(env, "scanVariants"));
  exports.Set("fillScan", Napi::Function::New<fillScan>(env, "fillScan"));
  exports.Set("fillBuffer", Napi::Function::New<fillBuffer>(env, "fillBuffer"));
  exports.Set("benchCodec", Napi::Function::New<benchCodec>(env, "benchCodec"));
  exports.Set("benchNs", Napi::Function::New<benchNs>(env, "benchNs"));
}

}  // namespace ublk
