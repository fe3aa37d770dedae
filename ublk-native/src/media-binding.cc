// Media for TypeScript: an object of functions that share one MediaBinding.
#include <algorithm>
#include <cerrno>

#include "napi-util.h"

namespace ublk {
namespace {

// Numbers of a region in stats(), in order.
constexpr size_t STATS_WORDS = 10;

Media* mediaOf(const Napi::CallbackInfo& info) {
  return static_cast<MediaBinding*>(info.Data())->media.get();
}

// read(offset, target) and write(offset, source): length | -errno
template <bool IsWrite>
Napi::Value transfer(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto offset = static_cast<uint64_t>(arguments.integer(0));
  Napi::Uint8Array bytes = arguments.bytes(1);
  if (!arguments.ok()) return info.Env().Undefined();
  Media* media = mediaOf(info);
  if (media == nullptr) return toNumber(info, -EBADF);
  const size_t length = bytes.ByteLength();
  if (!media->contains(offset, length)) return toNumber(info, -EINVAL);
  bool filled = false;
  const int result = IsWrite ? media->store(offset, bytes.Data(), length, &filled)
                             : media->load(offset, bytes.Data(), length);
  return toNumber(info, result < 0 ? result : static_cast<int64_t>(length));
}

// discard, recycle and trim(offset, length): 0 | -errno
template <int (Media::*Drop)(uint64_t, uint64_t)>
Napi::Value drop(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto offset = static_cast<uint64_t>(arguments.integer(0));
  const auto length = static_cast<uint64_t>(arguments.integer(1));
  if (!arguments.ok()) return info.Env().Undefined();
  Media* media = mediaOf(info);
  if (media == nullptr) return toNumber(info, -EBADF);
  if (!media->contains(offset, length)) return toNumber(info, -EINVAL);
  return toNumber(info, (media->*Drop)(offset, length));
}

// demote(region, slot, first, end, kinds): {result, next, bytes}
Napi::Value demote(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t numbers[5] = {};
  for (size_t i = 0; i < std::size(numbers); i++)
    numbers[i] = static_cast<uint64_t>(arguments.integer(i));
  if (!arguments.ok()) return info.Env().Undefined();
  Media* media = mediaOf(info);
  const auto [index, slot, first, end, kinds] = numbers;
  Demotion demotion{first, 0};
  const int result = media == nullptr
                         ? -EBADF
                         : media->demote(index, slot, end, static_cast<unsigned>(kinds), demotion);
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("result", result);
  object.Set("next", static_cast<double>(demotion.next));
  object.Set("bytes", static_cast<double>(demotion.bytes));
  return object;
}

// release(region) and dropSlot(region): 0 | -errno
template <int (Media::*Call)(uint64_t)>
Napi::Value onRegion(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto index = static_cast<uint64_t>(arguments.integer(0));
  if (!arguments.ok()) return info.Env().Undefined();
  Media* media = mediaOf(info);
  if (media == nullptr) return toNumber(info, -EBADF);
  return toNumber(info, index < media->regionCount() ? (media->*Call)(index) : -EINVAL);
}

Napi::Value flush(const Napi::CallbackInfo& info) {
  Media* media = mediaOf(info);
  return toNumber(info, media == nullptr ? -EBADF : media->flush());
}

// stats(Float64Array of STATS_WORDS a region): the media's own numbers are the sums; the two that are not are returned.
Napi::Value stats(const Napi::CallbackInfo& info) {
  const Media* media = mediaOf(info);
  if (!info[0].IsTypedArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array)
    return typeError(info.Env(), "argument 0 must be a Float64Array");
  auto target = info[0].As<Napi::Float64Array>();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("usedBytes", static_cast<double>(media == nullptr ? 0 : media->usedBytes()));
  object.Set("spareBytes", static_cast<double>(media == nullptr ? 0 : media->spareBytes()));
  if (media == nullptr) return object;
  double* next = target.Data();
  const uint64_t room = target.ElementLength() / STATS_WORDS;
  for (uint64_t index = 0; index < std::min(room, media->regionCount()); index++) {
    const Region region = media->region(index);
    *next++ = static_cast<double>(region.rawPages);
    *next++ = static_cast<double>(region.fillPages);
    *next++ = static_cast<double>(region.compressedPages);
    *next++ = static_cast<double>(region.compressedBytes);
    *next++ = static_cast<double>(static_cast<int64_t>(region.ready - region.punched));
    *next++ = static_cast<double>(region.slot);
    *next++ = static_cast<double>(region.tieredPages);
    *next++ = static_cast<double>(region.tieredBytes);
    *next++ = static_cast<double>(region.tierReads);
    *next++ = static_cast<double>(region.tierWrites);
  }
  return object;
}

Napi::Value closeMedia(const Napi::CallbackInfo& info) {
  static_cast<MediaBinding*>(info.Data())->media.reset();
  return info.Env().Undefined();
}

// openMedia(directory | null, dataDirectory | null, sameFill, create, tier | null, numbers): object | Outcome (`syscall` says what is wrong). `numbers`: bytes,
// regionBytes, inPlaceBytes, codec, level, spareBytes, limitBytes, tierOffset.
Napi::Value openMedia(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  MediaOptions options;
  if (!arguments.isNull(0)) options.directory = arguments.string(0);
  if (!arguments.isNull(1)) options.dataDirectory = arguments.string(1);
  options.sameFill = arguments.boolean(2);
  options.create = arguments.boolean(3);
  if (!arguments.isNull(4)) options.tier = arguments.string(4);
  uint64_t numbers[8] = {};
  for (size_t i = 0; i < std::size(numbers); i++)
    numbers[i] = static_cast<uint64_t>(arguments.integer(5 + i));
  if (!arguments.ok()) return env.Undefined();
  options.bytes = numbers[0];
  options.regionBytes = numbers[1];
  options.inPlaceBytes = numbers[2];
  options.codec = static_cast<uint32_t>(numbers[3]);
  options.level = static_cast<int>(numbers[4]);
  options.spareBytes = numbers[5];
  options.limitBytes = numbers[6];
  options.tierOffset = numbers[7];
  std::unique_ptr<Media> media;
  std::string problem;
  const int result = Media::open(options, media, problem);
  if (result < 0) return toObject(env, {problem, result});
  auto& medias = env.GetInstanceData<AddonState>()->medias;
  medias.push_back(std::make_unique<MediaBinding>());
  MediaBinding* binding = medias.back().get();
  binding->media = std::move(media);
  Napi::Object object = Napi::Object::New(env);
  object.Set("bytes", static_cast<double>(options.bytes));
  object.Set("slotBytes", static_cast<double>(binding->media->slotBytes()));
  object.Set("handle", Napi::External<MediaBinding>::New(env, binding));
  object.Set("read", Napi::Function::New<transfer<false>>(env, "read", binding));
  object.Set("write", Napi::Function::New<transfer<true>>(env, "write", binding));
  object.Set("discard", Napi::Function::New<drop<&Media::discard>>(env, "discard", binding));
  object.Set("recycle", Napi::Function::New<drop<&Media::recycle>>(env, "recycle", binding));
  object.Set("demote", Napi::Function::New<demote>(env, "demote", binding));
  object.Set("release", Napi::Function::New<onRegion<&Media::release>>(env, "release", binding));
  object.Set("dropSlot", Napi::Function::New<onRegion<&Media::dropSlot>>(env, "dropSlot", binding));
  object.Set("flush", Napi::Function::New<flush>(env, "flush", binding));
  object.Set("trim", Napi::Function::New<drop<&Media::trim>>(env, "trim", binding));
  object.Set("stats", Napi::Function::New<stats>(env, "stats", binding));
  object.Set("close", Napi::Function::New<closeMedia>(env, "close", binding));
  return object;
}

}  // namespace

void exportMedia(Napi::Env env, Napi::Object exports) {
  exports.Set("openMedia", Napi::Function::New<openMedia>(env, "openMedia"));
}

}  // namespace ublk
