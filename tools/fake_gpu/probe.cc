// A program for tests/native/test_fake_gpu.py: what it is told to do with a GPU, through a CUDA
// runtime that can do nothing until the fake overwrites it.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <string>

extern "C" {
cudaError_t cudaMalloc(void **, size_t) { return cudaErrorUnknown; }
cudaError_t cudaFree(void *) { return cudaErrorUnknown; }
cudaError_t cudaDeviceReset() { return cudaErrorUnknown; }
cudaError_t cudaMemcpyAsync(void *, const void *, size_t, cudaMemcpyKind, cudaStream_t) {
  return cudaErrorUnknown;
}
cudaError_t cudaLaunchKernel(const void *, dim3, dim3, void **, size_t, cudaStream_t) {
  return cudaErrorUnknown;
}
}

// As DALI's, which the fake knows by its name.
namespace dali::kernels {
struct CopyRanges {
  const void *from;
  void *to;
  size_t bytes;
};
void BatchCopy(CopyRanges) {}
}  // namespace dali::kernels

int main(int, char **arguments) {
  const std::string task = arguments[1];
  char host[8] = "message";
  void *first = nullptr, *second = nullptr;
  cudaError_t error = cudaMalloc(&first, sizeof host);
  if (!error) {
    error = cudaMalloc(&second, sizeof host);
  }
  const auto copy = [&](void *to, const void *from, cudaMemcpyKind kind, size_t more = 0) {
    if (!error) {
      error = cudaMemcpyAsync(to, from, sizeof host + more, kind, nullptr);
    }
  };
  const auto launch = [&](const void *from) {
    dali::kernels::CopyRanges range = {from, second, sizeof host};
    void *parameters[] = {&range};
    const auto *kernel = reinterpret_cast<void *>(&dali::kernels::BatchCopy);
    if (!error) {
      error = cudaLaunchKernel(kernel, dim3(1), dim3(1), parameters, 0, nullptr);
    }
  };
  if (task != "fresh") {
    copy(first, host, cudaMemcpyHostToDevice);
  }
  if (task == "read") {
    return *static_cast<char *>(first);
  }
  if (task == "beyond") {
    copy(first, host, cudaMemcpyHostToDevice, 1);
  }
  if (task == "kind") {
    copy(first, host, cudaMemcpyDeviceToDevice);
  }
  if (task == "missing") {
    error = cudaDeviceReset();
  }
  if (task == "freed" || task == "twice") {
    error = cudaFree(first);
  }
  if (task == "twice") {
    error = cudaFree(first);
  }
  if (task == "stream") {
    error = cudaMemcpyAsync(first, host, 1, cudaMemcpyDefault, cudaStream_t(9));
  }
  launch(task == "kernel" ? host : first);
  copy(host, second, cudaMemcpyDeviceToHost);
  printf("%d %02x%02x\n", error, static_cast<unsigned char>(host[0]),
         static_cast<unsigned char>(host[7]));
}
