// The functions of the CUDA runtime that DALI and the plugin call: every stream does at once what
// it is asked. patch.cc finds them by their names.
#include <malloc.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include "fake.h"

using fake_gpu::Fault;

namespace {

using Lock = std::lock_guard<std::mutex>;

thread_local cudaError_t last_error = cudaSuccess;

cudaError_t Result(cudaError_t error) {
  if (error != cudaSuccess) {
    last_error = error;
  }
  return error;
}

// The result of a call that is right if `good`, where anything else is a fault of the caller.
cudaError_t Checked(bool good, cudaError_t error, const char *call, const void *argument) {
  if (!good) {
    Fault("%s: wrong argument %p", call, argument);
  }
  return Result(good ? cudaSuccess : error);
}

constexpr uintptr_t kFirstHandle = 0x1000;

std::atomic<int> waits = 0;  // of the host

// Streams, or events, which are numbers here: multiples of 16 and the device they are of.
template <typename Handle>
class Handles {
 public:
  explicit Handles(std::set<Handle> always = {}) : live_(always) {}

  cudaError_t Create(Handle *handle) {
    fake_gpu::Initialize();
    const Lock lock(mutex_);
    live_.insert(*handle = reinterpret_cast<Handle>((next_ += 16) + fake_gpu::CurrentDevice()));
    return cudaSuccess;
  }
  cudaError_t Destroy(Handle handle, const char *call) {
    const Lock lock(mutex_);
    return Checked(live_.erase(handle), cudaErrorInvalidResourceHandle, call, handle);
  }
  cudaError_t Use(Handle handle, const char *call) {
    const Lock lock(mutex_);
    return Checked(live_.count(handle), cudaErrorInvalidResourceHandle, call, handle);
  }
  cudaError_t WaitFor(Handle handle, const char *call) {
    waits++;
    return Use(handle, call);
  }

 private:
  std::mutex mutex_;
  std::set<Handle> live_;
  uintptr_t next_ = kFirstHandle;
};

// Never destroyed: threads of DALI outlive main().
auto &streams = *new Handles<cudaStream_t>({nullptr, cudaStreamLegacy, cudaStreamPerThread});
auto &events = *new Handles<cudaEvent_t>;

// Whether memory is what the kind of a copy says, on the device or on the host.
bool Fits(const void *memory, size_t bytes, cudaMemcpyKind kind, cudaMemcpyKind to_or_from_host) {
  const bool device = fake_gpu::IsDevice(memory);
  const bool wanted = kind == cudaMemcpyDeviceToDevice || kind == to_or_from_host;
  if (kind != cudaMemcpyDefault && device != wanted) {
    return false;
  }
  return !device || fake_gpu::OnAnyDevice(memory, bytes);
}

struct Launch {
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
};
thread_local Launch launch;

}  // namespace

int fake_gpu::DeviceOf(cudaStream_t stream) {
  const auto number = reinterpret_cast<uintptr_t>(stream);
  return number < kFirstHandle ? CurrentDevice() : static_cast<int>(number % 16);
}

#pragma GCC diagnostic ignored "-Wunused-parameter"
extern "C" {

// For tests/native/test_waits.py.
__attribute__((visibility("default"))) int fake_gpu_waits() { return waits; }

cudaError_t cudaGetDeviceCount(int *count) {
  fake_gpu::Initialize();
  *count = fake_gpu::kDevices;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
  *device = fake_gpu::CurrentDevice();
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  fake_gpu::Initialize();
  if (device < 0 || device >= fake_gpu::kDevices) {
    return Result(cudaErrorInvalidDevice);
  }
  fake_gpu::SetCurrentDevice(device);
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
  fake_gpu::Initialize();
  static const auto &values = *new std::map<int, int>{
      {cudaDevAttrComputeCapabilityMajor, 9},
      {cudaDevAttrComputeCapabilityMinor, 0},
  };
  if (!values.count(attribute)) {
    Fault("device attribute %d is not known here", attribute);
    return Result(cudaErrorNotSupported);
  }
  *value = values.at(attribute);
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaMalloc(void **memory, size_t bytes) {
  fake_gpu::Initialize();
  *memory = bytes ? fake_gpu::AllocateDevice(bytes) : nullptr;
  return Result(*memory || !bytes ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void *memory) {
  fake_gpu::Initialize();
  return Checked(!memory || fake_gpu::FreeDevice(memory), cudaErrorInvalidValue, __func__, memory);
}

cudaError_t cudaMallocHost(void **memory, size_t bytes) {
  fake_gpu::Initialize();
  *memory = malloc(bytes);
  if (*memory) {
    memset(*memory, 0xCD, bytes);
  }
  return Result(*memory ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags) {
  return cudaMallocHost(memory, bytes);
}

cudaError_t cudaFreeHost(void *memory) {
  if (memory) {
    memset(memory, 0xDD, malloc_usable_size(memory));
  }
  free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (const cudaError_t error = streams.Use(stream, __func__)) {
    return error;
  }
  if (bytes == 0) {
    return cudaSuccess;
  }
  if (Fits(to, bytes, kind, cudaMemcpyHostToDevice) &&
      Fits(from, bytes, kind, cudaMemcpyDeviceToHost)) {
    memmove(fake_gpu::Reachable(to), fake_gpu::Reachable(from), bytes);
    return cudaSuccess;
  }
  Fault("a copy of %zu bytes of kind %d from %p to %p is not within that memory", bytes, kind, from,
        to);
  return Result(cudaErrorInvalidValue);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority) {
  return streams.Create(stream);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
  return streams.Create(stream);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return streams.Destroy(stream, __func__); }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return streams.WaitFor(stream, __func__); }
cudaError_t cudaStreamQuery(cudaStream_t stream) { return streams.Use(stream, __func__); }
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  const cudaError_t error = events.Use(event, __func__);
  return error ? error : streams.Use(stream, __func__);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  return events.Create(event);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) { return events.Destroy(event, __func__); }
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return events.WaitFor(event, __func__); }
cudaError_t cudaEventQuery(cudaEvent_t event) { return events.Use(event, __func__); }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return cudaStreamWaitEvent(stream, event, 0);
}

// What nvcc makes of kernel<<<grid, block, shared, stream>>>(...): the first of these, then, in a
// function that stands for the kernel, the others.
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream) {
  launch = {grid, block, shared, stream};
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared,
                                       cudaStream_t *stream) {
  *grid = launch.grid;
  *block = launch.block;
  *shared = launch.shared;
  *stream = launch.stream;
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *function) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void *>(function));
  return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **arguments,
                             size_t shared, cudaStream_t stream) {
  if (const cudaError_t error = streams.Use(stream, __func__)) {
    return error;
  }
  if (fake_gpu::DeviceOf(stream) != fake_gpu::CurrentDevice()) {
    Fault("a launch on device %d in a stream of another", fake_gpu::CurrentDevice());
    return Result(cudaErrorInvalidResourceHandle);
  }
  static auto &names = *new std::map<const void *, std::string>;
  static auto &one_at_a_time = *new std::mutex;
  const Lock lock(one_at_a_time);
  std::string &name = names[function];
  if (name.empty()) {
    name = fake_gpu::NameOf(function);
  }
  if (grid.x == 0 || block.x == 0) {
    Fault("a launch without threads: %s", name.c_str());
    return Result(cudaErrorInvalidConfiguration);
  }
  fake_gpu::LetKernelsReach(true);
  const bool known = fake_gpu::RunKernel(name, grid, block, arguments);
  fake_gpu::LetKernelsReach(false);
  if (known) {
    return cudaSuccess;
  }
  Fault("a kernel that is not known here: %s", name.c_str());
  return Result(cudaErrorNotSupported);
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **arguments,
                               size_t shared, cudaStream_t stream) {
  return cudaLaunchKernel(kernel, grid, block, arguments, shared, stream);
}

}  // extern "C"
