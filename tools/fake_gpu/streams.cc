// Streams and events. Work lies in its stream until someone waits for it, and then no other work
// than this needs is done. Now and then, by chance, a stream gets ahead of the others.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "fake.h"

namespace fake_gpu {
namespace {

struct Queue;

// Some point in the work of a stream.
struct Point {
  std::shared_ptr<Queue> queue;  // null: none
  uint64_t number = 0;           // of pieces of work before it
};

struct Work {
  Point after;  // of another stream
  Task task;
};

struct Queue {
  int device;
  std::deque<Work> waiting;
  uint64_t done = 0;

  uint64_t Given() const { return done + waiting.size(); }
};

constexpr uintptr_t kFirstHandle = 0x1000;

// Handles are numbers here: multiples of 16 and the device they are of.
template <typename Handle, typename Value>
class Handles {
 public:
  Handle Create(int device, Value value) {
    const auto handle = reinterpret_cast<Handle>((next_ += 16) + device);
    live_[handle] = std::move(value);
    return handle;
  }
  Value *Find(Handle handle) {
    const auto found = live_.find(handle);
    return found == live_.end() ? nullptr : &found->second;
  }
  bool Destroy(Handle handle) { return live_.erase(handle); }

 private:
  std::map<Handle, Value> live_;
  uintptr_t next_ = kFirstHandle;
};

int DeviceOfHandle(const void *handle) {
  return static_cast<int>(reinterpret_cast<uintptr_t>(handle) % 16);
}

uint64_t Seed() {
  const char *seed = getenv("FAKE_GPU_SEED");
  return seed ? strtoull(seed, nullptr, 10) : 0;
}

struct Streams {
  std::recursive_mutex mutex;
  std::mt19937_64 random{Seed()};
  Handles<cudaStream_t, std::shared_ptr<Queue>> streams;
  Handles<cudaEvent_t, Point> events;
  std::vector<std::shared_ptr<Queue>> busy;  // that have work, of streams that are destroyed too
  std::deque<std::pair<std::vector<Point>, Task>> afterwards;  // when all points are reached
  std::shared_ptr<Queue> defaults[kDevices];
  int waits = 0;

  Streams() {
    for (int device = 0; device < kDevices; device++) {
      defaults[device] = std::make_shared<Queue>(Queue{.device = device, .waiting = {}});
    }
  }

  // Null: no stream. Those of DALI do not wait for the default one.
  std::shared_ptr<Queue> QueueOf(cudaStream_t stream) {
    if (stream == nullptr) {
      return defaults[CurrentDevice()];
    }
    const auto *queue = streams.Find(stream);
    return queue ? *queue : nullptr;
  }

  // Does the work before a point, and what that waits for.
  void Reach(const Point &point) {
    while (point.queue && point.queue->done < point.number) {
      Queue &queue = *point.queue;
      Reach(Point(queue.waiting.front().after));
      const Work work = std::move(queue.waiting.front());
      queue.waiting.pop_front();
      queue.done++;
      if (work.task) {
        work.task(queue.device);
      }
    }
  }

  static bool IsReached(const Point &point) {
    return !point.queue || point.queue->done >= point.number;
  }

  int Chosen(size_t count) { return static_cast<int>(random() % count); }

  // Lets some stream get ahead by some of its work, once in so many times.
  void Stir(int times) {
    std::erase_if(busy, [](const auto &queue) { return queue->waiting.empty(); });
    while (!afterwards.empty() && std::ranges::all_of(afterwards.front().first, IsReached)) {
      const Task task = std::move(afterwards.front().second);
      afterwards.pop_front();
      task(CurrentDevice());
    }
    if (!busy.empty() && Chosen(times) == 0) {
      const auto queue = busy[Chosen(busy.size())];
      Reach({queue, queue->done + 1 + Chosen(queue->waiting.size())});
    }
  }

  void Add(const std::shared_ptr<Queue> &queue, Work work) {
    if (queue->waiting.empty()) {
      busy.push_back(queue);
    }
    queue->waiting.push_back(std::move(work));
    Stir(8);
  }

  void WaitFor(const Point &point) {
    waits++;
    Stir(2);
    Reach(point);
  }
};

// Never destroyed: threads of DALI outlive main().
Streams &All() {
  static auto &all = *new Streams;
  return all;
}

using Lock = std::lock_guard<std::recursive_mutex>;

}  // namespace

cudaStream_t CreateStream() {
  const Lock lock(All().mutex);
  const int device = CurrentDevice();
  return All().streams.Create(device, std::make_shared<Queue>(Queue{device, {}}));
}

bool DestroyStream(cudaStream_t stream) {
  const Lock lock(All().mutex);
  return All().streams.Destroy(stream);
}

bool IsStream(cudaStream_t stream) {
  const Lock lock(All().mutex);
  return All().QueueOf(stream) != nullptr;
}

int DeviceOf(cudaStream_t stream) { return stream ? DeviceOfHandle(stream) : CurrentDevice(); }

void Enqueue(cudaStream_t stream, Task task) {
  const Lock lock(All().mutex);
  All().Add(All().QueueOf(stream), {{}, std::move(task)});
}

void EnqueueAfterwards(Task task) {
  const Lock lock(All().mutex);
  std::vector<Point> points;
  for (const auto &queue : All().busy) {
    points.push_back({queue, queue->Given()});
  }
  All().afterwards.emplace_back(std::move(points), std::move(task));
}

void Synchronize(cudaStream_t stream) {
  const Lock lock(All().mutex);
  const auto queue = All().QueueOf(stream);
  All().WaitFor({queue, queue->Given()});
}

bool IsDone(cudaStream_t stream) {
  const Lock lock(All().mutex);
  All().Stir(2);
  return All().QueueOf(stream)->waiting.empty();
}

cudaEvent_t CreateEvent() {
  const Lock lock(All().mutex);
  return All().events.Create(CurrentDevice(), {});
}

bool DestroyEvent(cudaEvent_t event) {
  const Lock lock(All().mutex);
  return All().events.Destroy(event);
}

bool IsEvent(cudaEvent_t event) {
  const Lock lock(All().mutex);
  return All().events.Find(event) != nullptr;
}

bool Record(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock(All().mutex);
  const auto queue = All().QueueOf(stream);
  *All().events.Find(event) = {queue, queue->Given()};
  return queue->device == DeviceOfHandle(event);
}

void WaitInStream(cudaStream_t stream, cudaEvent_t event) {
  const Lock lock(All().mutex);
  All().Add(All().QueueOf(stream), {*All().events.Find(event), {}});
}

void Synchronize(cudaEvent_t event) {
  const Lock lock(All().mutex);
  All().WaitFor(Point(*All().events.Find(event)));
}

bool IsDone(cudaEvent_t event) {
  const Lock lock(All().mutex);
  All().Stir(2);
  return Streams::IsReached(*All().events.Find(event));
}

}  // namespace fake_gpu

// For tests/native/test_waits.py: how often the host has waited.
extern "C" __attribute__((visibility("default"))) int fake_gpu_waits() {
  const fake_gpu::Lock lock(fake_gpu::All().mutex);
  return fake_gpu::All().waits;
}
