// One ublk queue: its ring, its descriptors, its turn. It belongs to the thread that opened it.
#pragma once

#include <liburing.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "layout.h"
#include "transfer.h"
#include "ublk-abi.h"

namespace ublk {

struct QueueOptions {
  int charFd;
  uint16_t queueId;
  uint32_t depth;
  uint32_t maxIoBytes;
  std::shared_ptr<Media> media;
  uint8_t* marks[2];
  uint64_t userCopyBase;
  int fakeDescriptorsFd;  // -1: a real queue
  bool lends;  // the kernel lends a request's pages to the ring (UBLK_F_SUPPORT_ZERO_COPY)
};

// user_data of what is not a tag alone.
inline constexpr uint64_t KICK = uint64_t{1} << 32;
inline constexpr uint64_t MARK = uint64_t{1} << 33;
inline constexpr uint64_t LEND = uint64_t{1} << 34;
inline constexpr uint64_t LENT = uint64_t{1} << 35;
inline constexpr uint64_t RETURN = uint64_t{1} << 36;
inline constexpr uint64_t LOAN_MASK = LEND | LENT | RETURN;

class Queue {
 public:
  // `syscall` names what failed.
  int open(const QueueOptions& options, const char** syscall);
  ~Queue() { close(); }
  void close();
  bool isOpen() const { return ringOpen_; }

  // Memory that TypeScript shares: `depth` tags and commands, maxIoBytes of stage, two stamps.
  void bind(uint16_t* tags, Command* commands, const uint8_t* stage, double* clock);

  // See commitAndFetch in queue.ts.
  int turn(uint32_t count, uint32_t parity, bool stamp);
  int supply(uint32_t tag, uint32_t bytes);
  void wakeIn(uint32_t microseconds) { wakeUs_ = microseconds; }

  int kickFd() const { return kickFd_; }
  uint8_t* descriptorBytes() const { return descriptorsMap_.bytes; }
  uint32_t failedTag() const { return failedTag_; }
  int failedResult() const { return failedResult_; }

 private:
  enum class TagState : uint8_t { kernel, delivered, executed, gone };
  // Of a READ that its pages are lent for.
  enum class Loan : uint8_t { none, reading, read, failed, refused };

  int openRing(const char** syscall);
  int openEvents(const char** syscall);
  int mapDescriptors(const char** syscall);
  uint64_t position(uint32_t tag) const;
  io_uring_sqe* nextSqe();
  void queueFetches();
  io_uring_sqe* queueCommand(uint32_t tag, uint32_t op, int32_t result, uint64_t addr);
  void queueMark(uint32_t parity);
  void queueKickPoll();
  bool admit(uint32_t count);
  int32_t execute(const Command& command);
  int submitNow();
  int submitAndWaitUs();
  int wait(uint32_t ready);
  uint32_t reap(uint32_t ready);
  void onTag(uint32_t tag, int32_t result, uint32_t& ready);
  void onKick(const io_uring_cqe& cqe);
  // queue-loans.cc
  void openLoans();
  int startLoans(uint32_t count);
  uint64_t lendable(const Command& command);
  int settleLoans(uint32_t count, uint32_t& ready);
  void onLoan(const io_uring_cqe& cqe);
  int32_t fakeResult(uint32_t tag) const;

  QueueOptions options_{};
  Transfer transfer_;
  io_uring ring_{};
  bool ringOpen_ = false;
  bool fixedFile_ = false;
  bool fetched_ = false;
  int kickFd_ = -1;
  int markFd_ = -1;
  bool kicked_ = false;
  uint32_t wakeUs_ = 0;
  bool kickedForEver_ = false;
  Mapping descriptorsMap_;
  const ublksrv_io_desc* descriptors_ = nullptr;
  ublksrv_io_desc* fake_ = nullptr;
  uint16_t* tags_ = nullptr;
  Command* commands_ = nullptr;
  const uint8_t* stage_ = nullptr;
  double* clock_ = nullptr;
  std::vector<TagState> states_;
  std::vector<Loan> loans_;  // by tag; empty: nothing is lent
  uint32_t reading_ = 0;
  uint32_t goneCount_ = 0;
  uint32_t failedTag_ = 0;
  int failedResult_ = 0;
};

}  // namespace ublk
