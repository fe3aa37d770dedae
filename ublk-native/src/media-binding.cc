// Media for TypeScript: an object of functions that share one MediaBinding.
#include <cerrno>

#include "napi-util.h"

namespace ublk {
namespace {

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

// discard(offset, length) and recycle(offset, length): 0 | -errno
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

Napi::Value flush(const Napi::CallbackInfo& info) {
  Media* media = mediaOf(info);
  return toNumber(info, media == nullptr ? -EBADF : media->flush());
}

Napi::Value stats(const Napi::CallbackInfo& info) {
  const Media* media = mediaOf(info);
  const int64_t raw = media == nullptr ? 0 : media->rawPages();
  const int64_t fill = media == nullptr ? 0 : media->fillPages();
  const int64_t spare = media == nullptr ? 0 : media->sparePages();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("rawPages", static_cast<double>(raw));
  object.Set("fillPages", static_cast<double>(fill));
  object.Set("sparePages", static_cast<double>(spare));
  object.Set("memoryBytes", static_cast<double>((raw + spare) * PAGE_BYTES));
  return object;
}

Napi::Value closeMedia(const Napi::CallbackInfo& info) {
  static_cast<MediaBinding*>(info.Data())->media.reset();
  return info.Env().Undefined();
}

// openMedia(directory | null, bytes, sameFill, spareBytes, create): object | Outcome (`syscall` says what is wrong)
Napi::Value openMedia(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const bool anonymous = arguments.isNull(0);
  const std::string directory = anonymous ? std::string() : arguments.string(0);
  const int64_t bytes = arguments.integer(1);
  const bool sameFill = arguments.boolean(2);
  const int64_t spareBytes = arguments.integer(3);
  const bool create = arguments.boolean(4);
  if (!arguments.ok()) return env.Undefined();
  std::unique_ptr<Media> media;
  std::string problem;
  const int result = Media::open(anonymous ? nullptr : &directory, static_cast<uint64_t>(bytes),
                                 sameFill, static_cast<uint64_t>(spareBytes), create, media, problem);
  if (result < 0) return toObject(env, {problem, result});
  auto& medias = env.GetInstanceData<AddonState>()->medias;
  medias.push_back(std::make_unique<MediaBinding>());
  MediaBinding* binding = medias.back().get();
  binding->media = std::move(media);
  Napi::Object object = Napi::Object::New(env);
  object.Set("bytes", static_cast<double>(bytes));
  object.Set("handle", Napi::External<MediaBinding>::New(env, binding));
  object.Set("read", Napi::Function::New<transfer<false>>(env, "read", binding));
  object.Set("write", Napi::Function::New<transfer<true>>(env, "write", binding));
  object.Set("discard", Napi::Function::New<drop<&Media::discard>>(env, "discard", binding));
  object.Set("recycle", Napi::Function::New<drop<&Media::recycle>>(env, "recycle", binding));
  object.Set("flush", Napi::Function::New<flush>(env, "flush", binding));
  object.Set("stats", Napi::Function::New<stats>(env, "stats", binding));
  object.Set("close", Napi::Function::New<closeMedia>(env, "close", binding));
  return object;
}

}  // namespace

void exportMedia(Napi::Env env, Napi::Object exports) {
  exports.Set("openMedia", Napi::Function::New<openMedia>(env, "openMedia"));
}

}  // namespace ublk
