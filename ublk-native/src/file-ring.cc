// Reads of one file by io_uring, for a thread that waits in libuv's loop: requests go to the kernel in batches, and come back in
// batches, when the loop sees that the ring is readable. No thread of ours.
#include <liburing.h>

#include <cerrno>

#include "napi-util.h"

// What is used of libuv, which is in Node's binary: its headers are in no npm package. Stable in all of libuv 1 (uv.h).
extern "C" {
struct uv_loop_s;
size_t uv_handle_size(int type);
void* uv_handle_get_data(const void* handle);
void uv_handle_set_data(void* handle, void* data);
int uv_poll_init(uv_loop_s* loop, void* handle, int fd);
int uv_poll_start(void* handle, int events, void (*onEvent)(void* handle, int status, int events));
void uv_close(void* handle, void (*onClosed)(void* handle));
void uv_ref(void* handle);
void uv_unref(void* handle);
}

namespace ublk {
namespace {

constexpr int UV_POLL = 8;
constexpr int UV_READABLE = 1;
// What the kernel does in one request (fs/read_write.c, MAX_RW_COUNT), in whole pages.
constexpr size_t LENGTH_MAX = 0x7ffff000;

struct FileRing {
  io_uring ring{};
  int fd = -1;
  uint32_t depth = 0;
  uint32_t running = 0;
  bool isOpen = true;
  void* poll = nullptr;
  int32_t* completions = nullptr;
  Napi::Reference<Napi::Int32Array> held;
  Napi::FunctionReference deliver;
  std::unique_ptr<Napi::AsyncContext> context;
  napi_async_cleanup_hook_handle hook = nullptr;
  // Until libuv has let go of the handle.
  std::shared_ptr<FileRing> self;

  int open(uv_loop_s* loop) {
    int bad = io_uring_queue_init(depth, &ring, 0);
    if (bad != 0) return bad;
    poll = calloc(1, uv_handle_size(UV_POLL));
    bad = poll == nullptr ? -ENOMEM : uv_poll_init(loop, poll, ring.ring_fd);
    if (bad == 0) {
      uv_handle_set_data(poll, this);
      uv_poll_start(poll, UV_READABLE, onReadable);
      uv_unref(poll);
      return 0;
    }
    free(poll);
    io_uring_queue_exit(&ring);
    return bad;
  }

  // Only what is under way keeps the loop alive.
  void count(uint32_t next) {
    if ((running == 0) != (next == 0)) next == 0 ? uv_unref(poll) : uv_ref(poll);
    running = next;
  }

  int prepare(uint32_t id, Napi::Uint8Array bytes, uint64_t offset) {
    if (!isOpen) return -EBADF;
    io_uring_sqe* sqe = running < depth ? io_uring_get_sqe(&ring) : nullptr;
    if (sqe == nullptr) return -EBUSY;
    const auto length = static_cast<uint32_t>(std::min<size_t>(bytes.ByteLength(), LENGTH_MAX));
    io_uring_prep_read(sqe, fd, bytes.Data(), length, offset);
    sqe->user_data = id;
    count(running + 1);
    return 0;
  }

  // What it delivers may lead to more, or to the end of the ring.
  static void onReadable(void* poll, int, int) {
    const std::shared_ptr<FileRing> held = static_cast<FileRing*>(uv_handle_get_data(poll))->self;
    while (held->isOpen) {
      uint32_t ready = 0;
      for (io_uring_cqe* cqe; ready < held->depth && io_uring_peek_cqe(&held->ring, &cqe) == 0; ready++) {
        held->completions[ready * 2] = static_cast<int32_t>(cqe->user_data);
        held->completions[ready * 2 + 1] = cqe->res;
        io_uring_cqe_seen(&held->ring, cqe);
      }
      if (ready == 0) return;
      held->count(held->running - ready);
      const Napi::Env env = held->deliver.Env();
      const Napi::HandleScope scope(env);
      const napi_value number = Napi::Number::New(env, ready);
      // A worker that is being terminated takes no call, and needs none.
      napi_make_callback(env, *held->context, env.Global(), held->deliver.Value(), 1, &number, nullptr);
    }
  }

  // Waits for what is under way: its memory may go afterwards.
  void close() {
    if (!isOpen) return;
    isOpen = false;
    io_uring_submit(&ring);
    for (io_uring_cqe* cqe; running > 0; count(running - 1)) {
      while (io_uring_wait_cqe(&ring, &cqe) != 0) continue;
      io_uring_cqe_seen(&ring, cqe);
    }
    uv_close(poll, [](void* closed) {
      const auto last = std::move(static_cast<FileRing*>(uv_handle_get_data(closed))->self);
      free(closed);
      last->context.reset();
      napi_remove_async_cleanup_hook(last->hook);
    });
    io_uring_queue_exit(&ring);
  }
};

// openFileRing(fd, depth, completions, deliver): object | Outcome. `completions` has 2 words for each request under way.
Napi::Value openFileRing(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  auto ring = std::make_shared<FileRing>();
  ring->fd = static_cast<int>(arguments.integer(0, 0, INT32_MAX));
  ring->depth = static_cast<uint32_t>(arguments.integer(1, 1, 4096));
  Napi::Int32Array completions = arguments.words(2);
  if (!arguments.ok()) return env.Undefined();
  if (completions.ElementLength() < ring->depth * 2 || !info[3].IsFunction())
    return typeError(env, "completions must have 2 words for each request, then a function");
  uv_loop_s* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  const int bad = ring->open(loop);
  if (bad != 0) return toObject(env, {"io_uring_setup", bad});
  ring->self = ring;
  ring->completions = completions.Data();
  ring->held = Napi::Persistent(completions);
  ring->deliver = Napi::Persistent(info[3].As<Napi::Function>());
  ring->context = std::make_unique<Napi::AsyncContext>(env, "FileRing");
  const auto end = [](napi_async_cleanup_hook_handle, void* it) { static_cast<FileRing*>(it)->close(); };
  napi_add_async_cleanup_hook(env, end, ring.get(), &ring->hook);
  const auto prepare = [ring](const Napi::CallbackInfo& call) -> Napi::Value {
    Arguments given(call);
    const auto id = static_cast<uint32_t>(given.integer(0, 0, INT32_MAX));
    const Napi::Uint8Array bytes = given.bytes(1);
    const auto offset = static_cast<uint64_t>(given.integer(2));
    return given.ok() ? toNumber(call, ring->prepare(id, bytes, offset)) : call.Env().Undefined();
  };
  const auto submit = [ring](const Napi::CallbackInfo& call) {
    return toNumber(call, ring->isOpen ? io_uring_submit(&ring->ring) : -EBADF);
  };
  Napi::Object object = Napi::Object::New(env);
  object.Set("prepare", Napi::Function::New(env, prepare, "prepare"));
  object.Set("submit", Napi::Function::New(env, submit, "submit"));
  object.Set("close", Napi::Function::New(env, [ring](const Napi::CallbackInfo&) { ring->close(); }));
  return object;
}

}  // namespace

void exportFileRing(Napi::Env env, Napi::Object exports) {
  exports.Set("openFileRing", Napi::Function::New<openFileRing>(env, "openFileRing"));
}

}  // namespace ublk
