// Brings a batch to the device, and launches the kernel that mixes it.
#include <tuple>

#include "core/refuse.h"
#include "kernel/launch.cuh"
#include "kernel/launch.h"

namespace dali_mix {

namespace {

void Check(cudaError_t status) {
  if (status != cudaSuccess) {
    throw std::runtime_error(Text("CUDA failed to mix images on the GPU, ",
                                  cudaGetErrorName(status), ": ", cudaGetErrorString(status)));
  }
}

// Brings arrays to the device in one copy; where they are there.
template <typename... T>
std::tuple<const T *...> Upload(cudaStream_t stream, LaunchMemory &memory,
                                const std::vector<T> &...arrays) {
  static_assert(((alignof(T) <= kLaunchAlignment) && ...));
  size_t size = 0;
  const auto place = [&size](size_t bytes) {
    const size_t begin = size;
    size = (begin + bytes + kLaunchAlignment - 1) / kLaunchAlignment * kLaunchAlignment;
    return begin;
  };
  const size_t begins[] = {place(arrays.size() * sizeof(T))...};
  char *const host = memory.Pinned(size), *const device = memory.OnDevice(size);
  const size_t *begin = begins;
  (std::copy(arrays.begin(), arrays.end(), reinterpret_cast<T *>(host + *begin++)), ...);
  Check(cudaMemcpyAsync(device, host, size, cudaMemcpyHostToDevice, stream));
  begin = begins;
  return {reinterpret_cast<const T *>(device + *begin++)...};
}

}  // namespace

void LaunchBatch(const RowsKey &key, const HostBatch &batch, cudaStream_t stream,
                 LaunchMemory &memory) {
  LaunchMix(key, batch, stream, [&](const HostBatch &host, const std::vector<Work> &work) {
    UploadedBatch device = {host.call, {}, nullptr};
    Call &call = device.call;
    std::tie(device.samples, device.schedule.work, call.layers, call.bytes, call.singles,
             call.factors, call.weights) =
        Upload(stream, memory, host.samples, work, host.layers, host.bytes, host.singles,
               host.factors, host.weights);
    return device;
  });
  Check(cudaGetLastError());
}

}  // namespace dali_mix
