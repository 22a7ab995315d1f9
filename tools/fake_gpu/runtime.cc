// The functions of the CUDA runtime that DALI and the plugin call. patch.cc finds them by their
// names.
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "fake.h"

using fake_gpu::Checked;
using fake_gpu::CheckStream;
using fake_gpu::Fault;
using fake_gpu::Result;

namespace {

thread_local cudaError_t last_error = cudaSuccess;

// Whether memory is what the kind of a copy says, on the device or on the host.
bool Fits(const void *memory, size_t bytes, cudaMemcpyKind kind, cudaMemcpyKind to_or_from_host) {
  const bool device = fake_gpu::IsDevice(memory);
  const bool wanted = kind == cudaMemcpyDeviceToDevice || kind == to_or_from_host;
  if (kind != cudaMemcpyDefault && device != wanted) {
    return false;
  }
  return !device || fake_gpu::OnAnyDevice(memory, bytes);
}

// Whether no GPU reaches this memory: it is the host's and not pinned, or it was freed.
bool IsOutOfReach(const void *memory, size_t bytes) {
  return fake_gpu::IsDevice(memory) ? !fake_gpu::OnAnyDevice(memory, bytes)
                                    : !fake_gpu::IsPinned(memory, bytes);
}

cudaError_t CheckEvent(cudaEvent_t event, const char *call) {
  return Checked(fake_gpu::IsEvent(event), cudaErrorInvalidResourceHandle, call, event);
}
cudaError_t CheckBoth(cudaStream_t stream, cudaEvent_t event, const char *call) {
  const cudaError_t error = CheckEvent(event, call);
  return error ? error : CheckStream(stream, call);
}

struct Launch {
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
};
thread_local Launch launch;

}  // namespace

cudaError_t fake_gpu::Result(cudaError_t error) {
  if (error != cudaSuccess) {
    last_error = error;
  }
  return error;
}

cudaError_t fake_gpu::Checked(bool good, cudaError_t error, const char *call,
                              const void *argument) {
  if (!good) {
    Fault("%s: wrong argument %p", call, argument);
  }
  return Result(good ? cudaSuccess : error);
}

cudaError_t fake_gpu::CheckStream(cudaStream_t stream, const char *call) {
  return Checked(fake_gpu::IsStream(stream), cudaErrorInvalidResourceHandle, call, stream);
}

#pragma GCC diagnostic ignored "-Wunused-parameter"
extern "C" {

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

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (const cudaError_t error = CheckStream(stream, __func__)) {
    return error;
  }
  if (bytes == 0) {
    return cudaSuccess;
  }
  if (!Fits(to, bytes, kind, cudaMemcpyHostToDevice) ||
      !Fits(from, bytes, kind, cudaMemcpyDeviceToHost)) {
    Fault("a copy of %zu bytes of kind %d from %p to %p is not within that memory", bytes, kind,
          from, to);
    return Result(cudaErrorInvalidValue);
  }
  // The driver takes a copy of such memory now, and waits until all is written to it.
  std::shared_ptr<std::vector<char>> taken;
  if (IsOutOfReach(from, bytes)) {
    const auto *first = static_cast<const char *>(from);
    taken = std::make_shared<std::vector<char>>(first, first + bytes);
  }
  const bool waits = IsOutOfReach(to, bytes);
  fake_gpu::Enqueue(stream, [=](int) {
    // Since then it may have been freed.
    if ((taken || !IsOutOfReach(from, bytes)) && (waits || !IsOutOfReach(to, bytes))) {
      memmove(fake_gpu::Reachable(to), taken ? taken->data() : fake_gpu::Reachable(from), bytes);
    } else {
      Fault("a copy of %zu bytes from %p to %p is of memory that was freed", bytes, from, to);
    }
  });
  if (taken || waits) {
    fake_gpu::Synchronize(stream);
  }
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
  fake_gpu::Initialize();
  if (flags != cudaStreamNonBlocking) {
    Fault("a stream that waits for the default one is not known here");
    return Result(cudaErrorNotSupported);
  }
  *stream = fake_gpu::CreateStream();
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority) {
  return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return Checked(fake_gpu::DestroyStream(stream), cudaErrorInvalidResourceHandle, __func__, stream);
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const cudaError_t error = CheckStream(stream, __func__);
  return error ? error : (fake_gpu::Synchronize(stream), cudaSuccess);
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const cudaError_t error = CheckStream(stream, __func__);
  return error ? error : Result(fake_gpu::IsDone(stream) ? cudaSuccess : cudaErrorNotReady);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  const cudaError_t error = CheckBoth(stream, event, __func__);
  return error ? error : (fake_gpu::WaitInStream(stream, event), cudaSuccess);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  fake_gpu::Initialize();
  *event = fake_gpu::CreateEvent();
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return Checked(fake_gpu::DestroyEvent(event), cudaErrorInvalidResourceHandle, __func__, event);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const cudaError_t error = CheckEvent(event, __func__);
  return error ? error : (fake_gpu::Synchronize(event), cudaSuccess);
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const cudaError_t error = CheckEvent(event, __func__);
  return error ? error : Result(fake_gpu::IsDone(event) ? cudaSuccess : cudaErrorNotReady);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const cudaError_t error = CheckBoth(stream, event, __func__);
  return error ? error
               : Checked(fake_gpu::Record(event, stream), cudaErrorInvalidResourceHandle, __func__,
                         stream);
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
  if (const cudaError_t error = CheckStream(stream, __func__)) {
    return error;
  }
  if (fake_gpu::DeviceOf(stream) != fake_gpu::CurrentDevice()) {
    Fault("a launch on device %d in a stream of another", fake_gpu::CurrentDevice());
    return Result(cudaErrorInvalidResourceHandle);
  }
  static auto &names = *new std::map<const void *, std::string>;
  static auto &mutex = *new std::mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  std::string &name = names[function];
  if (name.empty()) {
    name = fake_gpu::NameOf(function);
  }
  if (grid.x == 0 || block.x == 0) {
    Fault("a launch without threads: %s", name.c_str());
    return Result(cudaErrorInvalidConfiguration);
  }
  if (fake_gpu::Task task = fake_gpu::LaunchOf(name, grid, block, arguments)) {
    fake_gpu::Enqueue(stream, std::move(task));
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
