// The functions of the CUDA driver that DALI and `dali-mix doctor` call by themselves.
#include <atomic>
#include <cstdio>

#include "fake.h"
#pragma GCC visibility push(default)
#include <cuda.h>

namespace {

std::atomic<bool> initialized = false;
const auto the_context = reinterpret_cast<CUcontext>(0x100);
thread_local CUcontext context = nullptr;

template <typename T>
CUresult Give(T *result, T value) {
  *result = value;
  return initialized ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

}  // namespace

void fake_gpu::Initialize() {
  initialized = true;
  context = the_context;
}

#pragma GCC diagnostic ignored "-Wunused-parameter"
extern "C" {

CUresult cuInit(unsigned flags) {
  initialized = true;
  return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) { return Give(version, CUDA_VERSION); }

CUresult cuDeviceGetCount(int *count) { return Give(count, 1); }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { return Give(device, 0); }
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  snprintf(name, length, "fake GPU");
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  return static_cast<CUresult>(
      cudaDeviceGetAttribute(value, static_cast<cudaDeviceAttr>(attribute), device));
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *result, CUdevice device) {
  return Give(result, the_context);
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *result) { return Give(result, context); }
CUresult cuCtxSetCurrent(CUcontext wanted) { return Give(&context, wanted); }
CUresult cuCtxPushCurrent(CUcontext wanted) { return CUDA_SUCCESS; }
CUresult cuCtxPopCurrent(CUcontext *result) { return Give(result, the_context); }
CUresult cuCtxGetDevice(CUdevice *device) { return Give(device, 0); }
CUresult cuStreamGetCtx(CUstream stream, CUcontext *result) { return Give(result, the_context); }

}  // extern "C"
