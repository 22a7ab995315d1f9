// A program for tests/native/test_fake_gpu.py: what it is told to do with a GPU, through a CUDA
// runtime that can do nothing until the fake overwrites it.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>

extern "C" {
cudaError_t cudaMalloc(void **, size_t) { return cudaErrorUnknown; }
cudaError_t cudaFree(void *) { return cudaErrorUnknown; }
cudaError_t cudaMallocHost(void **, size_t) { return cudaErrorUnknown; }
cudaError_t cudaFreeHost(void *) { return cudaErrorUnknown; }
cudaError_t cudaSetDevice(int) { return cudaErrorUnknown; }
cudaError_t cudaDeviceReset() { return cudaErrorUnknown; }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *, unsigned) { return cudaErrorUnknown; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaErrorUnknown; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaErrorUnknown; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *, unsigned) { return cudaErrorUnknown; }
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaErrorUnknown; }
cudaError_t cudaMemcpyAsync(void *, const void *, size_t, cudaMemcpyKind, cudaStream_t) {
  return cudaErrorUnknown;
}
cudaError_t cudaLaunchKernel(const void *, dim3, dim3, void **, size_t, cudaStream_t) {
  return cudaErrorUnknown;
}
}

// As DALI's, which the fake knows by their names.
namespace dali {
namespace kernels {
struct CopyRanges {
  const void *from;
  void *to;
  size_t bytes;
};
void BatchCopy(CopyRanges) {}
}  // namespace kernels
namespace cuda_for_dali {
struct stream_view {
  cudaStream_t stream;
};
}  // namespace cuda_for_dali
namespace mm {
struct pinned_malloc_memory_resource {
  void do_deallocate_async(void *, size_t, size_t, cuda_for_dali::stream_view);
};
void pinned_malloc_memory_resource::do_deallocate_async(void *, size_t, size_t,
                                                        cuda_for_dali::stream_view) {}
}  // namespace mm
}  // namespace dali

namespace {

constexpr size_t kBytes = 8;
cudaError_t error = cudaSuccess;  // the first one

void Do(cudaError_t result) { error = error ? error : result; }

void Copy(void *to, const void *from, cudaStream_t stream, cudaMemcpyKind kind = cudaMemcpyDefault,
          size_t bytes = kBytes) {
  Do(cudaMemcpyAsync(to, from, bytes, kind, stream));
}

void Launch(void *to, const void *from, cudaStream_t stream) {
  dali::kernels::CopyRanges range = {from, to, kBytes};
  void *parameters[] = {&range};
  const auto *kernel = reinterpret_cast<void *>(&dali::kernels::BatchCopy);
  Do(cudaLaunchKernel(kernel, dim3(1), dim3(1), parameters, 0, stream));
}

// Two allocations on the device, two streams, an event, and pinned memory.
struct Gpu {
  void *first, *second;
  cudaStream_t one, other;
  cudaEvent_t event;
  char *pinned;

  Gpu() {
    Do(cudaMalloc(&first, kBytes));
    Do(cudaMalloc(&second, kBytes));
    Do(cudaStreamCreateWithFlags(&one, cudaStreamNonBlocking));
    Do(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    Do(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    Do(cudaMallocHost(reinterpret_cast<void **>(&pinned), kBytes));
    strcpy(pinned, "message");
  }
  // The other stream goes on when the one has done what it was given so far.
  void Order() {
    Do(cudaEventRecord(event, one));
    Do(cudaStreamWaitEvent(other, event, 0));
  }
};

char host[kBytes] = "message";

const std::map<std::string, std::function<void(Gpu &)>> kTasks = {
    {"copy",
     [](Gpu &gpu) {
       Copy(gpu.first, host, gpu.one, cudaMemcpyHostToDevice);
       Launch(gpu.second, gpu.first, gpu.one);
       Copy(host, gpu.second, gpu.one, cudaMemcpyDeviceToHost);
     }},
    {"fresh", [](Gpu &gpu) { Copy(host, gpu.first, gpu.one); }},
    {"read", [](Gpu &gpu) { host[0] = *static_cast<char *>(gpu.first); }},
    {"beyond", [](Gpu &gpu) { Copy(gpu.first, host, gpu.one, cudaMemcpyHostToDevice, 9); }},
    {"kind", [](Gpu &gpu) { Copy(gpu.first, host, gpu.one, cudaMemcpyDeviceToDevice); }},
    {"missing", [](Gpu &) { Do(cudaDeviceReset()); }},
    {"freed",
     [](Gpu &gpu) {
       Launch(gpu.second, gpu.first, gpu.one);
       Do(cudaFree(gpu.first));
       Do(cudaStreamSynchronize(gpu.one));
     }},
    {"twice",
     [](Gpu &gpu) {
       Do(cudaFree(gpu.first));
       Do(cudaFree(gpu.first));
     }},
    {"stream", [](Gpu &gpu) { Copy(gpu.first, host, cudaStream_t(9)); }},
    {"kernel",
     [](Gpu &gpu) {
       Launch(gpu.second, host, gpu.one);
       Do(cudaStreamSynchronize(gpu.one));
     }},
    {"pinned",
     [](Gpu &gpu) {
       Copy(gpu.first, gpu.pinned, gpu.one);
       Do(cudaFreeHost(gpu.pinned));
       Do(cudaStreamSynchronize(gpu.one));
     }},
    {"device",
     [](Gpu &gpu) {
       cudaStream_t stream;
       Do(cudaSetDevice(1));
       Do(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
       Launch(gpu.second, gpu.first, stream);
       Do(cudaStreamSynchronize(stream));
     }},
    {"event",
     [](Gpu &gpu) {
       cudaStream_t stream;
       Do(cudaSetDevice(1));
       Do(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
       Do(cudaEventRecord(gpu.event, stream));
     }},
    // Read before the copy, or the kernel, of another stream has come.
    {"early",
     [](Gpu &gpu) {
       Copy(gpu.pinned, gpu.first, gpu.one);
       memcpy(host, gpu.pinned, kBytes);
     }},
    {"unordered",
     [](Gpu &gpu) {
       Copy(gpu.first, gpu.pinned, gpu.one);
       Launch(gpu.second, gpu.first, gpu.other);
       Copy(host, gpu.second, gpu.other);
     }},
    {"ordered",
     [](Gpu &gpu) {
       Copy(gpu.first, gpu.pinned, gpu.one);
       gpu.Order();
       Launch(gpu.second, gpu.first, gpu.other);
       Copy(host, gpu.second, gpu.other);
     }},
    // Written again before another stream has read it.
    {"overtaken",
     [](Gpu &gpu) {
       Copy(gpu.first, gpu.pinned, gpu.one);
       gpu.Order();
       Launch(gpu.second, gpu.first, gpu.other);
       void *fresh;
       Do(cudaMalloc(&fresh, kBytes));
       Copy(gpu.first, fresh, gpu.one);
       Copy(host, gpu.second, gpu.other);
     }},
    {"given back",
     [](Gpu &gpu) {
       Copy(gpu.first, gpu.pinned, gpu.one);
       dali::mm::pinned_malloc_memory_resource().do_deallocate_async(gpu.pinned, kBytes, 1,
                                                                     {gpu.one});
       Copy(host, gpu.first, gpu.one);
     }},
};

}  // namespace

int main(int, char **arguments) {
  Gpu gpu;
  kTasks.at(arguments[1])(gpu);
  printf("%d %02x%02x\n", error, static_cast<unsigned char>(host[0]),
         static_cast<unsigned char>(host[7]));
}
