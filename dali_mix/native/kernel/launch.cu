// Brings a batch to the device, and launches the kernel that mixes it.
#include <tuple>
#include <utility>

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

// Brings arrays to the device in one copy; where they are there. Indices, since nvcc keeps no order
// among the elements of a braced list.
template <typename... T, size_t... k>
std::tuple<const T *...> Upload(std::index_sequence<k...>, cudaStream_t stream,
                                LaunchMemory &memory, const std::vector<T> &...arrays) {
  static_assert(((alignof(T) <= kLaunchAlignment) && ...));
  constexpr size_t kUnit = kLaunchAlignment;
  const size_t sizes[] = {arrays.size() * sizeof(T)...};
  size_t begins[sizeof...(T)], size = 0;
  for (size_t i = 0; i < sizeof...(T); i++) {
    begins[i] = size;
    size += (sizes[i] + kUnit - 1) / kUnit * kUnit;
  }
  char *const host = memory.Pinned(size), *const device = memory.OnDevice(size);
  (std::copy(arrays.begin(), arrays.end(), reinterpret_cast<T *>(host + begins[k])), ...);
  Check(cudaMemcpyAsync(device, host, size, cudaMemcpyHostToDevice, stream));
  return std::make_tuple(reinterpret_cast<const T *>(device + begins[k])...);
}

}  // namespace

void LaunchBatch(const RowsKey &key, const HostBatch &batch, cudaStream_t stream,
                 LaunchMemory &memory) {
  LaunchMix(key, batch, stream, [&](const HostBatch &host, const std::vector<Work> &work) {
    UploadedBatch device = {host.call, {}, nullptr};
    Call &call = device.call;
    std::tie(device.samples, device.schedule.work, call.layers, call.singles, call.factors,
             call.weights) = Upload(std::make_index_sequence<6>(), stream, memory, host.samples,
                                    work, host.layers, host.singles, host.factors, host.weights);
    return device;
  });
  Check(cudaGetLastError());
}

const uint8_t *UploadBytes(const std::vector<uint8_t> &bytes, cudaStream_t stream,
                           LaunchMemory &memory) {
  return bytes.empty() ? nullptr
                       : std::get<0>(Upload(std::make_index_sequence<1>(), stream, memory, bytes));
}

}  // namespace dali_mix
