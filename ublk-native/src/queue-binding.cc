// The queue for TypeScript. Its hot function is bare Node-API, bound to its queue: no wrapper object, no allocation.
#include "queue-binding.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "napi-util.h"

namespace ublk {
namespace {

constexpr size_t MARK_ALIGNMENT = 8;

// The one hot function. While a worker is being terminated nothing can be made for JavaScript: null is then as good as a number.
napi_value commitAndFetch(napi_env env, napi_callback_info info) {
  napi_value argument;
  napi_value result = nullptr;
  size_t given = 1;
  void* data;
  uint32_t turn;
  if (napi_get_cb_info(env, info, &given, &argument, nullptr, &data) != napi_ok) return nullptr;
  if (given == 0 || napi_get_value_uint32(env, argument, &turn) != napi_ok) {
    napi_throw_type_error(env, nullptr, "argument 0 must be a whole number");
    return nullptr;
  }
  const uint32_t count = turn & ((1U << PARITY_SHIFT) - 1);
  Queue& queue = static_cast<QueueBinding*>(data)->queue;
  const uint32_t parity = (turn & ~STAMP_BIT) >> PARITY_SHIFT;
  napi_create_int32(env, queue.turn(count, parity, (turn & STAMP_BIT) != 0), &result);
  return result;
}

Napi::Value supply(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto tag = static_cast<uint32_t>(arguments.integer(0, INT32_MIN, UINT32_MAX));
  const auto bytes = static_cast<uint32_t>(arguments.integer(1, INT32_MIN, UINT32_MAX));
  if (!arguments.ok()) return info.Env().Undefined();
  return toNumber(info, static_cast<QueueBinding*>(info.Data())->queue.supply(tag, bytes));
}

Napi::Value wakeIn(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto microseconds = static_cast<uint32_t>(arguments.integer(0, 0, UINT32_MAX));
  if (arguments.ok()) static_cast<QueueBinding*>(info.Data())->queue.wakeIn(microseconds);
  return info.Env().Undefined();
}

Napi::Value failure(const Napi::CallbackInfo& info) {
  const Queue& queue = static_cast<QueueBinding*>(info.Data())->queue;
  if (queue.failedResult() == 0) return info.Env().Null();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("tag", queue.failedTag());
  object.Set("result", queue.failedResult());
  return object;
}

Napi::Value closeQueue(const Napi::CallbackInfo& info) {
  auto* binding = static_cast<QueueBinding*>(info.Data());
  // The views become empty before their memory goes.
  if (!binding->descriptors.IsEmpty()) binding->descriptors.Value().Detach();
  binding->descriptors.Reset();
  binding->held.clear();
  binding->queue.close();
  return info.Env().Undefined();
}

// Makes a typed array over memory of its own, holds it, and gives its address.
template <typename Array, typename Element>
Element* share(Napi::Object object, const char* name, size_t length,
                                   QueueBinding& binding) {
  Array array = Array::New(object.Env(), length);
  object.Set(name, array);
  binding.held.push_back(Napi::Reference<Napi::Value>::New(array, 1));
  return array.Data();
}

Napi::Object describe(Napi::Env env, QueueBinding& binding, const QueueOptions& options,
                      int kickFd) {
  Napi::Object object = Napi::Object::New(env);
  auto* tags = share<Napi::Uint16Array, uint16_t>(object, "tags", options.depth, binding);
  const size_t wordCount = options.depth * COMMAND_WORDS;
  auto* words = share<Napi::Int32Array, int32_t>(object, "commands", wordCount, binding);
  auto* stage = share<Napi::Uint8Array, uint8_t>(object, "stage", options.maxIoBytes, binding);
  auto* clock = share<Napi::Float64Array, double>(object, "clock", 2, binding);
  binding.queue.bind(tags, reinterpret_cast<Command*>(words), stage, clock);
  const size_t descriptorWords = sizeof(ublksrv_io_desc) / sizeof(uint32_t);
  Napi::ArrayBuffer descriptors = Napi::ArrayBuffer::New(
      env, binding.queue.descriptorBytes(), options.depth * sizeof(ublksrv_io_desc));
  binding.descriptors = Napi::Reference<Napi::ArrayBuffer>::New(descriptors, 1);
  object.Set("descriptors",
             Napi::Uint32Array::New(env, options.depth * descriptorWords, descriptors, 0));
  object.Set("kickFd", kickFd);
  napi_value hot = nullptr;
  napi_create_function(env, "commitAndFetch", NAPI_AUTO_LENGTH, commitAndFetch, &binding, &hot);
  object.Set("commitAndFetch", Napi::Value(env, hot));
  object.Set("supply", Napi::Function::New<supply>(env, "supply", &binding));
  object.Set("wakeIn", Napi::Function::New<wakeIn>(env, "wakeIn", &binding));
  object.Set("failure", Napi::Function::New<failure>(env, "failure", &binding));
  object.Set("close", Napi::Function::New<closeQueue>(env, "close", &binding));
  return object;
}

// openQueue(charFd, queueId, depth, maxIoBytes, media, marks, offset0, offset1, userCopyBase, fakeFd, lends): object | Outcome
Napi::Value openQueue(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  QueueOptions options{};
  options.charFd = static_cast<int>(arguments.integer(0, 0, INT32_MAX));
  options.queueId = static_cast<uint16_t>(arguments.integer(1, 0, UBLK_MAX_NR_QUEUES - 1));
  options.depth = static_cast<uint32_t>(arguments.integer(2, 1, UBLK_MAX_QUEUE_DEPTH));
  options.maxIoBytes = static_cast<uint32_t>(arguments.integer(3, PAGE_BYTES, UBLK_MAX_IO_BYTES));
  options.media = findMedia(env, info[4]);
  Napi::Int32Array marks = arguments.words(5);
  const int64_t offsets[2] = {arguments.integer(6), arguments.integer(7)};
  options.userCopyBase = static_cast<uint64_t>(arguments.integer(8));
  options.fakeDescriptorsFd = static_cast<int>(arguments.integer(9, -1, INT32_MAX));
  options.lends = arguments.boolean(10) && options.fakeDescriptorsFd < 0;
  if (!arguments.ok()) return env.Undefined();
  if (options.media == nullptr) return typeError(env, "media must be an open one of openMedia()");
  if (options.maxIoBytes % PAGE_BYTES != 0)
    return typeError(env, "maxIoBytes must be a multiple of 4096");
  for (size_t parity = 0; parity < 2; parity++) {
    const auto offset = static_cast<size_t>(offsets[parity]);
    if (offset % MARK_ALIGNMENT != 0 || offset + MARK_ALIGNMENT > marks.ByteLength())
      return typeError(env, "mark offsets must be multiples of 8 within marks");
    options.marks[parity] = reinterpret_cast<uint8_t*>(marks.Data()) + offset;
  }
  auto binding = std::make_unique<QueueBinding>();
  const char* syscall;
  int result = binding->queue.open(options, &syscall);
  if (result < 0) return toObject(env, {syscall, result});
  // A kick may come when the queue is closed already: TypeScript gets a descriptor of its own, see kick.ts.
  const int kickFd = fcntl(binding->queue.kickFd(), F_DUPFD_CLOEXEC, 0);
  if (kickFd < 0) return toObject(env, {"dup eventfd", -errno});
  binding->held.push_back(Napi::Reference<Napi::Value>::New(marks, 1));
  auto& queues = env.GetInstanceData<AddonState>()->queues;
  queues.push_back(std::move(binding));
  return describe(env, *queues.back(), options, kickFd);
}

}  // namespace

std::shared_ptr<Media> findMedia(Napi::Env env, Napi::Value handle) {
  if (!handle.IsExternal()) return nullptr;
  const auto* wanted = handle.As<Napi::External<MediaBinding>>().Data();
  for (const auto& binding : env.GetInstanceData<AddonState>()->medias)
    if (binding.get() == wanted) return binding->media;
  return nullptr;
}

AddonState::AddonState() = default;
AddonState::~AddonState() = default;

void exportQueue(Napi::Env env, Napi::Object exports) {
  exports.Set("openQueue", Napi::Function::New<openQueue>(env, "openQueue"));
}

}  // namespace ublk
