// The CUDA kernels and their launch, without DALI.
#ifndef DALI_MIX_NATIVE_KERNEL_LAUNCH_CUH_
#define DALI_MIX_NATIVE_KERNEL_LAUNCH_CUH_

#include <cuda_runtime.h>

#include <algorithm>
#include <vector>

#include "kernel/batch_params.h"
#include "kernel/kernel.h"

namespace dali_mix {

template <class Tile, int kSamples>
__global__ void __launch_bounds__(kThreads)
    MixInline(const __grid_constant__ InlineBatch<kSamples> batch) {
  Call call = batch.call;
  call.singles = batch.singles;
  call.weights = batch.weights;
  Schedule schedule = batch.schedule;
  schedule.work = batch.work;
  const int i = schedule.SampleOf(blockIdx.x);
  WriteTile<Tile, false>(call, batch.samples[i], batch.work[i], i, blockIdx.x, threadIdx.x);
}

// Blocks that share a multiprocessor, at least: tiles of 16 pixels need more registers than three
// blocks leave.
template <class Tile>
constexpr int kResident = Tile::kPixels == 16 ? 2 : 3;

template <class Tile, bool kLayered>
__global__ void __launch_bounds__(kThreads, kResident<Tile>)
    MixUploaded(const UploadedBatch batch) {
  const int i = batch.schedule.SampleOf(blockIdx.x);
  WriteTile<Tile, kLayered>(batch.call, LoadWide(batch.samples + i),
                            LoadWide(batch.schedule.work + i), i, blockIdx.x, threadIdx.x);
}

template <class Tile, int kSamples>
void LaunchInline(const HostBatch &batch, cudaStream_t stream) {
  InlineBatch<kSamples> parameters;
  const int count = static_cast<int>(batch.samples.size());
  const int blocks = CutBlocks<Tile::kPixels>(batch.samples.data(), count, parameters.work);
  if (blocks == 0) {
    return;
  }
  parameters.call = batch.call;
  parameters.schedule = MakeSchedule(nullptr, count, blocks);
  std::copy(batch.samples.begin(), batch.samples.end(), parameters.samples);
  std::copy(batch.singles.begin(), batch.singles.end(), parameters.singles);
  std::copy(batch.weights.begin(), batch.weights.end(), parameters.weights);
  MixInline<Tile, kSamples><<<blocks, kThreads, 0, stream>>>(parameters);
}

template <class Tile, typename Upload>
void LaunchUploaded(const HostBatch &batch, cudaStream_t stream, Upload &&upload) {
  std::vector<Work> work(batch.samples.size());
  const int count = static_cast<int>(work.size());
  const int blocks = CutBlocks<Tile::kPixels>(batch.samples.data(), count, work.data());
  if (blocks == 0) {
    return;
  }
  UploadedBatch uploaded = upload(batch, work);
  uploaded.schedule = MakeSchedule(uploaded.schedule.work, count, blocks);
  if (batch.layers.empty()) {
    MixUploaded<Tile, false><<<blocks, kThreads, 0, stream>>>(uploaded);
  } else {
    MixUploaded<Tile, true><<<blocks, kThreads, 0, stream>>>(uploaded);
  }
}

// One launch, or none where there is nothing to write. `upload(batch, work)` returns the batch in
// device memory; it is asked only where the batch does not fit into the parameters.
template <typename Upload>
void LaunchMix(const RowsKey &key, const HostBatch &batch, cudaStream_t stream, Upload &&upload) {
  VisitTile(key, [&]<class Tile>() {
    if (InlineBatch<kFew>::Fits(batch)) {
      return LaunchInline<Tile, kFew>(batch, stream);
    }
    if (InlineBatch<kMany>::Fits(batch)) {
      return LaunchInline<Tile, kMany>(batch, stream);
    }
    LaunchUploaded<Tile>(batch, stream, upload);
  });
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_KERNEL_LAUNCH_CUH_
