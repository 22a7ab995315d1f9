// Copies samples without making the host wait.
#ifndef DALI_MIX_NATIVE_DALI_COPY_SAMPLES_H_
#define DALI_MIX_NATIVE_DALI_COPY_SAMPLES_H_

#include <type_traits>
#include <vector>

#include "dali/pipeline/data/tensor_list.h"
#include "dali/pipeline/workspace/workspace.h"

namespace dali_mix {

using Pointers = std::vector<const void *>;

template <typename Backend>
Pointers SamplesOf(const dali::TensorList<Backend> &batch) {
  Pointers samples(batch.num_samples());
  for (int i = 0; i < batch.num_samples(); i++) {
    samples[i] = batch.raw_tensor(i);
  }
  return samples;
}

template <typename Backend>
cudaStream_t StreamOf(const dali::Workspace &ws) {
  return std::is_same_v<Backend, dali::GPUBackend> ? ws.stream() : nullptr;
}

// Fills the samples of `to`, whose shapes are set: on the CPU at once, on a GPU by one copy or one
// kernel. TensorList::Copy and SetSample would make the host wait for the streams of both batches.
// If there is a GPU, batches on the CPU have a stream too, which may be busy with images.
// `one_allocation`: all of `from` is in one allocation, in this order. Two samples may be adjacent
// in memory and yet belong to two allocations.
template <typename Backend>
void CopySamples(dali::TensorList<Backend> &to, Pointers from, bool one_allocation,
                 cudaStream_t stream) {
  if (to._num_elements() == 0) {
    return;  // DALI would launch a kernel without threads
  }
  const int count = to.num_samples();
  const dali::TypeInfo &type = to.type_info();
  if (one_allocation && to.IsContiguous()) {
    type.template Copy<Backend, Backend>(to.raw_mutable_tensor(0), {}, from[0], {},
                                         to._num_elements(), stream);
    return;
  }
  std::vector<void *> samples(count);
  std::vector<dali::Index> sizes(count);
  for (int i = 0; i < count; i++) {
    samples[i] = to.raw_mutable_tensor(i);
    sizes[i] = dali::volume(to.tensor_shape_span(i));
  }
  type.template Copy<Backend, Backend>(samples.data(), {}, from.data(), {}, sizes.data(), count,
                                       stream, true);
}

// The same for a whole batch.
template <typename Backend>
void CopyBatch(dali::TensorList<Backend> &to, const dali::TensorList<Backend> &from,
               cudaStream_t stream) {
  CopySamples(to, SamplesOf(from), from.IsContiguous(), stream);
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_COPY_SAMPLES_H_
