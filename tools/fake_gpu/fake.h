// What the parts of the fake GPU share: a library that stands in for libcuda.so.1, so that tests of
// GPU code run without a GPU.
//
// Device memory is memory that the host cannot reach (memory.cc). DALI and the plugin are linked
// with the CUDA runtime statically: in every library that is loaded its functions are overwritten
// (patch.cc) by jumps to ours (runtime.cc). They do what they are asked as late as a GPU may, or as
// early (streams.cc). Kernels run on the host (kernels.cc), found by their names.
#ifndef DALI_MIX_TESTS_FAKE_GPU_FAKE_H_
#define DALI_MIX_TESTS_FAKE_GPU_FAKE_H_

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <string>

namespace fake_gpu {

// Writes a line to the file that FAKE_GPU_LOG names: what was called is not used as it should be.
__attribute__((format(printf, 1, 2))) void Fault(const char *format, ...);

// What a call returns, which cudaGetLastError tells once more. Checked, and CheckStream of what
// must be a stream: anything else is a fault of the caller.
cudaError_t Result(cudaError_t error);
cudaError_t Checked(bool good, cudaError_t error, const char *call, const void *argument);
cudaError_t CheckStream(cudaStream_t stream, const char *call);

constexpr int kDevices = 2;

// The device that calls of this thread are for, 0 until it chooses.
int CurrentDevice();
void SetCurrentDevice(int device);

// Streams of the current device, and their work, which is told the device it runs on. All that take
// a stream, or an event, but the first two take one that is there.
using Task = std::function<void(int device)>;
bool IsStream(cudaStream_t stream);
bool IsEvent(cudaEvent_t event);
cudaStream_t CreateStream();
bool DestroyStream(cudaStream_t stream);
int DeviceOf(cudaStream_t stream);
void Enqueue(cudaStream_t stream, Task task);
void EnqueueAfterwards(Task task);      // when all that is given by now is done, on any stream
void Synchronize(cudaStream_t stream);  // the host waits
void Synchronize(cudaEvent_t event);
bool IsDone(cudaStream_t stream);
bool IsDone(cudaEvent_t event);
cudaEvent_t CreateEvent();
bool DestroyEvent(cudaEvent_t event);
bool Record(cudaEvent_t event, cudaStream_t stream);  // false: they are of different devices
void WaitInStream(cudaStream_t stream, cudaEvent_t event);

// On the current device, filled with 0xCD, at addresses that were never given out before.
void *AllocateDevice(size_t bytes);
bool FreeDevice(void *memory);  // false if it is no allocation

// Of the host, where a GPU reaches it; filled with 0xCD, and with 0xDD when it is freed.
void *AllocatePinned(size_t bytes);
bool FreePinned(void *memory);

bool IsDevice(const void *address);  // allocated or not
// Whether all of it lies in one allocation that is not freed: of a device, of any, pinned.
bool OnDevice(int device, const void *memory, size_t bytes);
bool OnAnyDevice(const void *memory, size_t bytes);
bool IsPinned(const void *memory, size_t bytes);

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

// A launch with its arguments as they are now; empty if this is no kernel that we know.
Task LaunchOf(const std::string &name, dim3 grid, dim3 block, void **arguments);

}  // namespace fake_gpu

#endif  // DALI_MIX_TESTS_FAKE_GPU_FAKE_H_
