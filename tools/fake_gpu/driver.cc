// The functions of the CUDA driver that DALI and `dali-mix doctor` call by themselves.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "fake.h"
#pragma GCC visibility push(default)
#include <cuda.h>

namespace {

std::atomic<bool> initialized = false;
// Contexts are numbers: of device 0, of device 1, …
constexpr uintptr_t kFirstContext = 0x100;
thread_local CUcontext context = nullptr;
thread_local std::vector<CUcontext> below;  // pushed away

CUcontext ContextOf(int device) { return reinterpret_cast<CUcontext>(kFirstContext + device); }

template <typename T>
CUresult Give(T *result, T value) {
  *result = value;
  return initialized ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

}  // namespace

void fake_gpu::Initialize() {
  initialized = true;
  if (!context) {
    context = ContextOf(0);
  }
}

int fake_gpu::CurrentDevice() {
  return context ? static_cast<int>(reinterpret_cast<uintptr_t>(context) - kFirstContext) : 0;
}

void fake_gpu::SetCurrentDevice(int device) { context = ContextOf(device); }

#pragma GCC diagnostic ignored "-Wunused-parameter"
extern "C" {

CUresult cuInit(unsigned flags) {
  initialized = true;
  return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) { return Give(version, CUDA_VERSION); }

CUresult cuDeviceGetCount(int *count) { return Give(count, fake_gpu::kDevices); }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { return Give(device, ordinal); }
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  snprintf(name, length, "fake GPU");
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  return static_cast<CUresult>(
      cudaDeviceGetAttribute(value, static_cast<cudaDeviceAttr>(attribute), device));
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *result, CUdevice device) {
  return Give(result, ContextOf(device));
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *result) { return Give(result, context); }
CUresult cuCtxSetCurrent(CUcontext wanted) { return Give(&context, wanted); }
CUresult cuCtxPushCurrent(CUcontext wanted) {
  below.push_back(context);
  return Give(&context, wanted);
}
CUresult cuCtxPopCurrent(CUcontext *result) {
  if (below.empty()) {
    return CUDA_ERROR_INVALID_CONTEXT;
  }
  if (result) {
    *result = context;
  }
  context = below.back();
  below.pop_back();
  return CUDA_SUCCESS;
}
CUresult cuCtxGetDevice(CUdevice *device) { return Give(device, fake_gpu::CurrentDevice()); }
CUresult cuStreamGetCtx(CUstream stream, CUcontext *result) {
  return Give(result, ContextOf(fake_gpu::DeviceOf(stream)));
}

}  // extern "C"
