// What the parts of the fake GPU share: a library that stands in for libcuda.so.1, so that tests of
// GPU code run without a GPU.
//
// Device memory is memory that the host cannot reach (memory.cc). DALI and the plugin are linked
// with the CUDA runtime statically: in every library that is loaded its functions are overwritten
// (patch.cc) by jumps to ours (runtime.cc), which do at once what they are asked, on any stream.
// Kernels run on the host (kernels.cc), found by their names.
#ifndef DALI_MIX_TESTS_FAKE_GPU_FAKE_H_
#define DALI_MIX_TESTS_FAKE_GPU_FAKE_H_

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>

namespace fake_gpu {

// Writes a line to the file that FAKE_GPU_LOG names: what was called is not used as it should be.
__attribute__((format(printf, 1, 2))) void Fault(const char *format, ...);

constexpr int kDevices = 2;

// The device that calls of this thread are for, 0 until it chooses.
int CurrentDevice();
void SetCurrentDevice(int device);

// The device that a stream is of.
int DeviceOf(cudaStream_t stream);

// On the current device, filled with 0xCD, at addresses that were never given out before.
void *AllocateDevice(size_t bytes);
bool FreeDevice(void *memory);  // false if it is no allocation

bool IsDevice(const void *address);  // allocated or not
// Whether all of it lies in one allocation that is not freed, of any device or of the current one.
bool OnAnyDevice(const void *memory, size_t bytes);
bool OnCurrentDevice(const void *memory, size_t bytes);

// The same byte at an address where the host may use it.
char *Reachable(const void *memory);

// Whether allocations on the device, and no more of it, can be reached where they are: while a
// kernel runs.
void LetKernelsReach(bool allocations);

// What the first call of the runtime does in each thread.
void Initialize();

// The name of the function that begins there, empty if there is none.
std::string NameOf(const void *function);

std::string Demangled(const char *name);

// False if this is no kernel that we know.
bool RunKernel(const std::string &name, dim3 grid, dim3 block, void **arguments);

}  // namespace fake_gpu

#endif  // DALI_MIX_TESTS_FAKE_GPU_FAKE_H_
