// One command to /dev/ublk-control: a ring of one entry of 128 bytes, made for the call.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "napi-util.h"
#include "ublk-abi.h"

namespace ublk {
namespace {

constexpr size_t SQE128_BYTES = 128;

struct Fd {
  int value;
  explicit Fd(int fd) : value(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (value >= 0) close(value);
  }
};

// liburing before 2.2 knows no entries of 128 bytes, and for one command the bare system calls are as short.
Outcome submitOne(int ring, const io_uring_params& params, int controlFd, uint32_t op,
                  const ublksrv_ctrl_cmd& command) {
  Mapping submissions, completions, entries;
  const int both = PROT_READ | PROT_WRITE;
  const size_t sqBytes = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
  const size_t cqBytes = params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe);
  int bad = submissions.map(ring, sqBytes, both, MAP_SHARED, IORING_OFF_SQ_RING);
  if (bad == 0) bad = completions.map(ring, cqBytes, both, MAP_SHARED, IORING_OFF_CQ_RING);
  if (bad == 0) bad = entries.map(ring, SQE128_BYTES, both, MAP_SHARED, IORING_OFF_SQES);
  if (bad != 0) return {"mmap io_uring", bad};
  const auto word = [](const Mapping& mapping, uint32_t offset) {
    return reinterpret_cast<uint32_t*>(mapping.bytes + offset);
  };

  // The kernel gives its rings zeroed.
  auto* sqe = reinterpret_cast<io_uring_sqe*>(entries.bytes);
  sqe->opcode = OP_URING_CMD;
  sqe->fd = controlFd;
  std::memcpy(entries.bytes + SQE_CMD_OP, &op, sizeof op);
  std::memcpy(entries.bytes + SQE_CMD, &command, sizeof command);
  *word(submissions, params.sq_off.array) = 0;
  __atomic_store_n(word(submissions, params.sq_off.tail), 1, __ATOMIC_RELEASE);

  uint32_t toSubmit = 1;
  for (;;) {
    const long entered =
        syscall(SYS_io_uring_enter, ring, toSubmit, 1U, IORING_ENTER_GETEVENTS, nullptr, size_t{0});
    if (entered < 0 && errno != EINTR) return {"io_uring_enter", -errno};
    if (entered > 0) toSubmit = 0;
    if (__atomic_load_n(word(completions, params.cq_off.tail), __ATOMIC_ACQUIRE) != 0) break;
    // A signal may come after the submission and before its count: the kernel's own head tells.
    if (__atomic_load_n(word(submissions, params.sq_off.head), __ATOMIC_ACQUIRE) != 0) toSubmit = 0;
  }
  const auto* cqe = reinterpret_cast<io_uring_cqe*>(completions.bytes + params.cq_off.cqes);
  return {"uring_cmd", cqe->res};
}

Outcome runCommand(uint32_t op, ublksrv_ctrl_cmd command, std::vector<uint8_t>& buffer) {
  command.len = static_cast<uint16_t>(buffer.size());
  command.addr = buffer.empty() ? 0 : reinterpret_cast<uint64_t>(buffer.data());
  const Fd control(open("/dev/ublk-control", O_RDWR | O_CLOEXEC));
  if (control.value < 0) return {"open", -errno};
  io_uring_params params{};
  params.flags = SETUP_SQE128;
  const Fd ring(static_cast<int>(syscall(SYS_io_uring_setup, 1U, &params)));
  if (ring.value < 0) return {"io_uring_setup", -errno};
  return submitOne(ring.value, params, control.value, op, command);
}

// control(op, id, queueId, data, buffer | null): Promise<Outcome>
Napi::Value control(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const auto op = static_cast<uint32_t>(arguments.integer(0, 0, UINT32_MAX));
  ublksrv_ctrl_cmd command{};
  command.dev_id = static_cast<uint32_t>(arguments.integer(1, -1, INT32_MAX));
  command.queue_id = static_cast<uint16_t>(arguments.integer(2, 0, UINT16_MAX));
  command.data[0] = static_cast<uint64_t>(arguments.integer(3));
  const Napi::Uint8Array buffer = arguments.isNull(4) ? Napi::Uint8Array() : arguments.bytes(4);
  if (!arguments.ok()) return info.Env().Undefined();
  const auto work = [=](std::vector<uint8_t>& copy) { return runCommand(op, command, copy); };
  return Task::run(info.Env(), work, buffer);
}

}  // namespace

void exportControl(Napi::Env env, Napi::Object exports) {
  exports.Set("control", Napi::Function::New<control>(env, "control"));
}

}  // namespace ublk
