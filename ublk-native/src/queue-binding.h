// A queue and the typed arrays that it shares with JavaScript.
#pragma once

#include <napi.h>

#include "queue.h"

namespace ublk {

struct QueueBinding {
  Queue queue;
  // Held, so that their memory stays where the queue has been told that it is.
  std::vector<Napi::Reference<Napi::Value>> held;
  Napi::Reference<Napi::ArrayBuffer> descriptors;
};

}  // namespace ublk
