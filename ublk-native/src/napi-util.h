// What every binding needs: the state of one environment, argument checks, results, work on libuv's pool.
//
// A wrong argument type is a bug in our own TypeScript and throws TypeError; everything else is a negative int.
#pragma once

#include <napi.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "media.h"
#include "shared-memory.h"

namespace ublk {

struct QueueBinding;

// What JavaScript holds of a media; `media` is null once it is closed.
struct MediaBinding {
  std::shared_ptr<Media> media;
};

// The state of one environment (the main thread's, or a worker's). When that ends, even by terminate(), it goes, and with it
// the rings and mappings, so that a device never waits for a thread that is gone.
struct AddonState {
  std::vector<std::unique_ptr<QueueBinding>> queues;
  std::vector<std::unique_ptr<MediaBinding>> medias;
  std::unordered_map<void*, std::weak_ptr<Mapping>> mappings;

  AddonState();
  ~AddonState();
};

// The value of a system call that was tried, and which.
struct Outcome {
  std::string syscall;
  int result;
};

inline Napi::Object toObject(Napi::Env env, const Outcome& outcome) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("syscall", outcome.syscall);
  object.Set("result", outcome.result);
  return object;
}

inline Napi::Value typeError(Napi::Env env, const std::string& message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

// Arguments of one call. After the first wrong one an exception is pending: ask ok() before using any.
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}
  bool ok() const { return ok_; }

  double number(size_t i) {
    if (!info_[i].IsNumber()) return wrong(i, "a number"), 0;
    return info_[i].As<Napi::Number>().DoubleValue();
  }
  // A whole number within [low, high], at most 2^53.
  int64_t integer(size_t i, int64_t low = 0, int64_t high = int64_t{1} << 53) {
    const double value = number(i);
    if (!ok_) return 0;
    if (std::trunc(value) != value || value < static_cast<double>(low) ||
        value > static_cast<double>(high))
      return wrong(i, "a whole number in range"), 0;
    return static_cast<int64_t>(value);
  }
  bool boolean(size_t i) {
    if (!info_[i].IsBoolean()) return wrong(i, "a boolean"), false;
    return info_[i].As<Napi::Boolean>().Value();
  }
  std::string string(size_t i) {
    if (!info_[i].IsString()) return wrong(i, "a string"), std::string();
    return info_[i].As<Napi::String>().Utf8Value();
  }
  Napi::Uint8Array bytes(size_t i) {
    if (!isTyped(i, napi_uint8_array)) return wrong(i, "a Uint8Array"), Napi::Uint8Array();
    return info_[i].As<Napi::Uint8Array>();
  }
  Napi::Int32Array words(size_t i) {
    if (!isTyped(i, napi_int32_array)) return wrong(i, "an Int32Array"), Napi::Int32Array();
    return info_[i].As<Napi::Int32Array>();
  }
  bool isNull(size_t i) const { return info_[i].IsNull(); }

 private:
  bool isTyped(size_t i, napi_typedarray_type type) const {
    return info_[i].IsTypedArray() && info_[i].As<Napi::TypedArray>().TypedArrayType() == type;
  }
  void wrong(size_t i, const char* expected) {
    if (!ok_) return;
    ok_ = false;
    typeError(info_.Env(), "argument " + std::to_string(i) + " must be " + expected);
  }

  const Napi::CallbackInfo& info_;
  bool ok_ = true;
};

inline Napi::Value toNumber(const Napi::CallbackInfo& info, int64_t value) {
  return Napi::Number::New(info.Env(), static_cast<double>(value));
}

// Runs `work` on libuv's pool and resolves to its outcome. `buffer`, if any, is copied: in before, out after.
class Task : public Napi::AsyncWorker {
 public:
  using Work = std::function<Outcome(std::vector<uint8_t>& buffer)>;

  static Napi::Value run(Napi::Env env, Work work, Napi::Uint8Array buffer = Napi::Uint8Array()) {
    auto* task = new Task(env, std::move(work), buffer);
    const Napi::Promise promise = task->deferred_.Promise();
    task->Queue();
    return promise;
  }

 protected:
  void Execute() override { outcome_ = work_(copy_); }
  void OnOK() override {
    if (!target_.IsEmpty() && !copy_.empty()) {
      Napi::Uint8Array target = target_.Value();
      // Detached meanwhile: nobody can read it.
      if (target.ByteLength() == copy_.size()) std::copy(copy_.begin(), copy_.end(), target.Data());
    }
    deferred_.Resolve(toObject(Env(), outcome_));
  }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Task(Napi::Env env, Work work, Napi::Uint8Array buffer)
      : Napi::AsyncWorker(env), work_(std::move(work)), deferred_(env), outcome_{"", 0} {
    if (buffer.IsEmpty()) return;
    copy_.assign(buffer.Data(), buffer.Data() + buffer.ByteLength());
    target_ = Napi::Persistent(buffer);
  }

  Work work_;
  Napi::Promise::Deferred deferred_;
  Outcome outcome_;
  std::vector<uint8_t> copy_;
  Napi::Reference<Napi::Uint8Array> target_;
};

// The media that an External of openMedia() stands for, or null.
std::shared_ptr<Media> findMedia(Napi::Env env, Napi::Value handle);

void exportBench(Napi::Env env, Napi::Object exports);
void exportBlockDevice(Napi::Env env, Napi::Object exports);
void exportControl(Napi::Env env, Napi::Object exports);
void exportFileRing(Napi::Env env, Napi::Object exports);
void exportMedia(Napi::Env env, Napi::Object exports);
void exportQueue(Napi::Env env, Napi::Object exports);
void exportSharedMemory(Napi::Env env, Napi::Object exports);

}  // namespace ublk
