// Device memory, which the host can reach at other addresses only, and the log of faults.
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
  if (memory == MAP_FAILED) std::abort();
  return static_cast<char *>(memory);
}

struct Device {
  std::mutex mutex;
  std::map<const char *, size_t> allocations;  // bytes, by their begin
  char *locked, *open;                         // the same memory twice
  size_t used = 0;

  Device() {
    const int file = memfd_create("device", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, kDevice)) std::abort();
    locked = Map(file, PROT_NONE);
    open = Map(file, PROT_READ | PROT_WRITE);
    close(file);
  }
};

// Never destroyed: threads of DALI outlive main().
Device &TheDevice() {
  static auto &device = *new Device;
  return device;
}

}  // namespace

void Fault(const char *format, ...) {
  const char *path = getenv("FAKE_GPU_LOG");
  FILE *log = fopen(path ? path : "/dev/stderr", "ae");
  if (!log) std::abort();
  char text[1000];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  fprintf(log, "%s\n", text);
  fclose(log);
}

void *AllocateDevice(size_t bytes) {
  Device &device = TheDevice();
  const std::lock_guard<std::mutex> lock(device.mutex);
  // As near as it may be to the end of its pages, with a page behind them that is never used.
  const size_t aligned = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const size_t pages = (aligned + kPage - 1) / kPage * kPage;
  if (bytes > kDevice || device.used + pages + kPage > kDevice) return nullptr;
  char *memory = device.locked + device.used + (pages - aligned);
  device.used += pages + kPage;
  device.allocations[memory] = bytes;
  return memset(Reachable(memory), 0xCD, bytes), memory;
}

bool FreeDevice(void *memory) {
  Device &device = TheDevice();
  const std::lock_guard<std::mutex> lock(device.mutex);
  const auto found = device.allocations.find(static_cast<char *>(memory));
  if (found == device.allocations.end()) return false;
  char *page = device.open + (found->first - device.locked) / kPage * kPage;
  madvise(page, Reachable(memory) + found->second - page, MADV_REMOVE);
  device.allocations.erase(found);
  return true;
}

bool IsDevice(const void *address) {
  return address >= TheDevice().locked && address < TheDevice().locked + kDevice;
}

bool OnDevice(const void *memory, size_t bytes) {
  Device &device = TheDevice();
  const std::lock_guard<std::mutex> lock(device.mutex);
  const auto *begin = static_cast<const char *>(memory);
  const auto after = device.allocations.upper_bound(begin);
  if (after == device.allocations.begin()) return false;
  const auto &[first, size] = *std::prev(after);
  return begin + bytes <= first + size;
}

char *Reachable(const void *memory) {
  auto *address = static_cast<char *>(const_cast<void *>(memory));
  return IsDevice(address) ? TheDevice().open + (address - TheDevice().locked) : address;
}

void LetKernelsReach(bool allocations) {
  Device &device = TheDevice();
  const std::lock_guard<std::mutex> lock(device.mutex);
  for (const auto &[begin, bytes] : device.allocations) {
    char *page = device.locked + (begin - device.locked) / kPage * kPage;
    mprotect(page, begin + bytes - page, allocations ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
}

}  // namespace fake_gpu
