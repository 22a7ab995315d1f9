// Device memory, which the host can reach at other addresses only; pinned memory; the log of
// faults.
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>

#include "fake.h"

namespace fake_gpu {
namespace {

constexpr size_t kDevice = size_t{1} << 40;  // addresses; memory is taken when it is written
constexpr size_t kPage = 4096;
constexpr size_t kAlignment = 512;

char *Map(int file, int access) {
  void *memory = mmap(nullptr, kDevice, access, MAP_SHARED | MAP_NORESERVE, file, 0);
  if (memory == MAP_FAILED) {
    std::abort();
  }
  return static_cast<char *>(memory);
}

struct Allocation {
  size_t bytes;
  int device;
};

using Allocations = std::map<const char *, Allocation>;  // by their begin

// The memory of all devices, and pinned memory.
struct Memory {
  std::mutex mutex;
  Allocations allocations, pinned;
  int counts[kDevices] = {};  // of allocations, freed ones among them
  char *locked, *open;        // the same memory twice
  size_t used = 0;

  Memory() {
    const int file = memfd_create("device", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, kDevice)) {
      std::abort();
    }
    locked = Map(file, PROT_NONE);
    open = Map(file, PROT_READ | PROT_WRITE);
    close(file);
  }
};

// Never destroyed: threads of DALI outlive main().
Memory &TheMemory() {
  static auto &memory = *new Memory;
  return memory;
}

// The allocation that all of it lies in, null: none.
const Allocation *Find(const Allocations &allocations, const void *memory, size_t bytes) {
  const auto *begin = static_cast<const char *>(memory);
  const auto after = allocations.upper_bound(begin);
  if (after == allocations.begin()) {
    return nullptr;
  }
  const auto &[first, allocation] = *std::prev(after);
  return begin + bytes <= first + allocation.bytes ? &allocation : nullptr;
}

}  // namespace

void Fault(const char *format, ...) {
  const char *path = getenv("FAKE_GPU_LOG");
  FILE *log = fopen(path ? path : "/dev/stderr", "ae");
  if (!log) {
    std::abort();
  }
  char text[1000];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  fprintf(log, "%s\n", text);
  fclose(log);
}

void *AllocateDevice(size_t bytes) {
  Memory &all = TheMemory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  // As near as it may be to the end of its pages, with a page behind them that is never used.
  const size_t aligned = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const size_t pages = (aligned + kPage - 1) / kPage * kPage;
  if (bytes > kDevice || all.used + pages + kPage > kDevice) {
    return nullptr;
  }
  char *memory = all.locked + all.used + (pages - aligned);
  all.used += pages + kPage;
  all.allocations[memory] = {bytes, CurrentDevice()};
  all.counts[CurrentDevice()]++;
  return memset(Reachable(memory), 0xCD, bytes), memory;
}

bool FreeDevice(void *memory) {
  Memory &all = TheMemory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.allocations.find(static_cast<char *>(memory));
  if (found == all.allocations.end()) {
    return false;
  }
  char *page = all.open + (found->first - all.locked) / kPage * kPage;
  madvise(page, Reachable(memory) + found->second.bytes - page, MADV_REMOVE);
  all.allocations.erase(found);
  return true;
}

bool IsDevice(const void *address) {
  return address >= TheMemory().locked && address < TheMemory().locked + kDevice;
}

bool OnAnyDevice(const void *memory, size_t bytes) {
  const std::lock_guard<std::mutex> lock(TheMemory().mutex);
  return Find(TheMemory().allocations, memory, bytes) != nullptr;
}

bool OnDevice(int device, const void *memory, size_t bytes) {
  const std::lock_guard<std::mutex> lock(TheMemory().mutex);
  const Allocation *allocation = Find(TheMemory().allocations, memory, bytes);
  return allocation && allocation->device == device;
}

void *AllocatePinned(size_t bytes) {
  void *memory = malloc(bytes);
  if (memory) {
    memset(memory, 0xCD, bytes);
    const std::lock_guard<std::mutex> lock(TheMemory().mutex);
    TheMemory().pinned[static_cast<char *>(memory)] = {bytes, CurrentDevice()};
  }
  return memory;
}

bool FreePinned(void *memory) {
  {
    const std::lock_guard<std::mutex> lock(TheMemory().mutex);
    if (!TheMemory().pinned.erase(static_cast<char *>(memory))) {
      return false;
    }
  }
  memset(memory, 0xDD, malloc_usable_size(memory));
  free(memory);
  return true;
}

bool IsPinned(const void *memory, size_t bytes) {
  const std::lock_guard<std::mutex> lock(TheMemory().mutex);
  return Find(TheMemory().pinned, memory, bytes) != nullptr;
}

char *Reachable(const void *memory) {
  auto *address = static_cast<char *>(const_cast<void *>(memory));
  return IsDevice(address) ? TheMemory().open + (address - TheMemory().locked) : address;
}

void LetKernelsReach(bool allocations) {
  Memory &all = TheMemory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  for (const auto &[begin, allocation] : all.allocations) {
    char *page = all.locked + (begin - all.locked) / kPage * kPage;
    mprotect(page, begin + allocation.bytes - page,
             allocations ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
}

}  // namespace fake_gpu

// For tests/graph/test_previous.py: how often memory of a device was allocated.
extern "C" __attribute__((visibility("default"))) int fake_gpu_allocations(int device) {
  const std::lock_guard<std::mutex> lock(fake_gpu::TheMemory().mutex);
  return fake_gpu::TheMemory().counts[device];
}
