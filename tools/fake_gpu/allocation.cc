// Memory as the CUDA runtime gives it, and as DALI takes it by way of the runtime.
#include <dlfcn.h>
#include <execinfo.h>

#include <cstring>

#include "fake.h"

using fake_gpu::Checked;
using fake_gpu::Fault;
using fake_gpu::Result;

namespace {

// Whether DALI calls on its own account, and no function of the plugin is among the callers.
bool IsForDali() {
  void *callers[64];
  bool dali = false;
  for (int i = backtrace(callers, 64) - 1; i >= 0; i--) {
    Dl_info info;
    if (dladdr(callers[i], &info)) {
      const char *file = strrchr(info.dli_fname, '/');
      if (file && !strncmp(file, "/libdali_mix", 12)) {
        return false;
      }
      dali = dali || (file && !strncmp(file, "/libdali", 8));
    }
  }
  return dali;
}

// At once, as DALI gives out freed memory again at once. DALI itself frees staging memory that is
// being read: that is not what is looked for here, and it gets the patience of a real cudaFree.
cudaError_t Free(bool (*free)(void *), void *memory, const char *call) {
  fake_gpu::Initialize();
  const auto freed = [=](int) {
    return Checked(!memory || free(memory), cudaErrorInvalidValue, call, memory);
  };
  return IsForDali() ? (fake_gpu::EnqueueAfterwards(freed), cudaSuccess) : freed(0);
}

}  // namespace

#pragma GCC diagnostic ignored "-Wunused-parameter"
extern "C" {

cudaError_t cudaMalloc(void **memory, size_t bytes) {
  fake_gpu::Initialize();
  *memory = bytes ? fake_gpu::AllocateDevice(bytes) : nullptr;
  return Result(*memory || !bytes ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void *memory) { return Free(fake_gpu::FreeDevice, memory, __func__); }

cudaError_t cudaMallocHost(void **memory, size_t bytes) {
  fake_gpu::Initialize();
  *memory = fake_gpu::AllocatePinned(bytes);
  return Result(*memory ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags) {
  return cudaMallocHost(memory, bytes);
}

cudaError_t cudaFreeHost(void *memory) { return Free(fake_gpu::FreePinned, memory, __func__); }

}  // extern "C"

// DALI frees memory in the order of a stream: with the pools, which the tests do without, it is
// given out again there only. What DALI frees with cudaFree must be done with by then.
namespace dali {
namespace cuda_for_dali {
struct stream_view {
  cudaStream_t stream;
};
}  // namespace cuda_for_dali

namespace mm {
struct cuda_malloc_memory_resource {
  void do_deallocate_async(void *, size_t, size_t, cuda_for_dali::stream_view);
};
struct pinned_malloc_memory_resource {
  void do_deallocate_async(void *, size_t, size_t, cuda_for_dali::stream_view);
};

void cuda_malloc_memory_resource::do_deallocate_async(void *memory, size_t, size_t,
                                                      cuda_for_dali::stream_view at) {
  if (fake_gpu::CheckStream(at.stream, "a deallocation") == cudaSuccess) {
    fake_gpu::Enqueue(at.stream, [memory](int) { fake_gpu::FreeDevice(memory); });
  }
}

void pinned_malloc_memory_resource::do_deallocate_async(void *memory, size_t, size_t alignment,
                                                        cuda_for_dali::stream_view at) {
  if (alignment > 256) {
    Fault("pinned memory that is aligned to %zu bytes is not known here", alignment);
  } else if (fake_gpu::CheckStream(at.stream, "a deallocation") == cudaSuccess) {
    fake_gpu::Enqueue(at.stream, [memory](int) { fake_gpu::FreePinned(memory); });
  }
}
}  // namespace mm
}  // namespace dali
