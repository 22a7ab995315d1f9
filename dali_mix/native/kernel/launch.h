// The GPU as an operator calls it: no header of CUDA is needed here.
#ifndef DALI_MIX_NATIVE_KERNEL_LAUNCH_H_
#define DALI_MIX_NATIVE_KERNEL_LAUNCH_H_

#include <cstddef>

#include "core/api.h"
#include "core/key.h"
#include "kernel/batch_params.h"

struct CUstream_st;  // cudaStream_t points to one

namespace dali_mix {

// Memory of one launch. It stays until the stream has done what it is given meanwhile.
class LaunchMemory {
 public:
  virtual ~LaunchMemory() = default;
  // Both aligned to kLaunchAlignment bytes.
  virtual char *Pinned(size_t bytes) = 0;
  virtual char *OnDevice(size_t bytes) = 0;
};
constexpr size_t kLaunchAlignment = 16;

// One launch, or none where there is nothing to write; at most one copy, and no synchronization.
DALI_MIX_API void LaunchBatch(const RowsKey &key, const HostBatch &batch, CUstream_st *stream,
                              LaunchMemory &memory);

// Brings bytes to the device by a copy that the host does not wait for. Null if there are none.
DALI_MIX_API const uint8_t *UploadBytes(const std::vector<uint8_t> &bytes, CUstream_st *stream,
                                        LaunchMemory &memory);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_KERNEL_LAUNCH_H_
