// The plugin's kernels, and DALI's kernel that copies a batch, on the host: every thread of every
// block, one after the other. Whatever they are given must lie on the device.
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <typeinfo>
#include <unordered_map>
#include <vector>

#include "fake.h"
#include "kernel/batch_params.h"
#include "kernel/kernel.h"

namespace fake_gpu {
namespace {

using namespace dali_mix;

using Kernel = Task (*)(dim3 grid, dim3 block, void **arguments);
using Kernels = std::unordered_map<std::string, Kernel>;

thread_local int running_on = -1;  // the device of the kernel that this thread runs
thread_local sigjmp_buf beyond;    // where it goes on after a fault

bool Check(const char *what, const void *memory, size_t bytes) {
  const bool good = OnDevice(running_on, memory, bytes);
  if (!good) {
    Fault("a kernel is given %s at %p, which is not on the device", what, memory);
  }
  return good;
}

// Where an image is shifted, its origin may lie outside of it.
bool CheckSource(const Source &source) {
  return IsDevice(source.origin) || Check("an image", source.origin, 1);
}

bool CheckLayers(const Layers &layers) {
  const Mask &mask = layers.mask;
  bool good = !mask.values || Check("a mask", mask.values, size_t(mask.height) * mask.width);
  for (int i = 2; i < layers.image_count; i++) {
    good = CheckSource(layers.images[i - 2]) && good;
  }
  return good;
}

bool CheckSamples(const UploadedBatch &batch) {
  bool good = true;
  for (int i = 0; i < batch.schedule.samples; i++) {
    const Sample &sample = batch.samples[i];
    if (sample.height == 0 || sample.width == 0) {
      continue;
    }
    good = Check("an output", sample.out, 1) && CheckSource(sample.own) && good;
    if (sample.outside != Shows::kOwn) {
      good = CheckSource(sample.partner) && good;
    }
    if (sample.layers >= 0) {
      good = CheckLayers(batch.call.layers[sample.layers]) && good;
    }
  }
  return good;
}

bool CheckUploads(const UploadedBatch &batch, bool layered) {
  const Call &call = batch.call;
  const size_t samples = batch.schedule.samples;
  return Check("samples", batch.samples, samples * sizeof(Sample)) &&
         Check("work", batch.schedule.work, samples * sizeof(Work)) &&
         Check("singles", call.singles, call.channels * sizeof(Single)) &&
         Check("factors", call.factors, call.channels * sizeof(double)) &&
         Check("weights", call.weights, samples * call.channels * call.images * sizeof(float)) &&
         (!layered || Check("layers", call.layers, sizeof(Layers)));
}

template <class Tile, bool kLayered>
void Mix(const UploadedBatch &batch, dim3 grid, dim3 block) {
  if (!CheckSamples(batch)) {
    return;
  }
  for (unsigned b = 0; b < grid.x; b++) {
    const int i = batch.schedule.SampleOf(b);
    for (unsigned t = 0; t < block.x; t++) {
      WriteTile<Tile, kLayered>(batch.call, batch.samples[i], batch.schedule.work[i], i, b, t);
    }
  }
}

template <class Tile, int kSamples>
Task MixInline(dim3 grid, dim3 block, void **arguments) {
  return [=, given = *static_cast<const InlineBatch<kSamples> *>(arguments[0])](int) {
    UploadedBatch batch = {given.call, given.schedule, given.samples};
    batch.call.singles = given.singles;
    batch.call.weights = given.weights;
    batch.schedule.work = given.work;
    Mix<Tile, false>(batch, grid, block);
  };
}

template <class Tile, bool kLayered>
Task MixUploaded(dim3 grid, dim3 block, void **arguments) {
  return [=, batch = *static_cast<const UploadedBatch *>(arguments[0])](int) {
    if (CheckUploads(batch, kLayered)) {
      Mix<Tile, kLayered>(batch, grid, block);
    }
  };
}

// What each block of DALI's kernel copies.
struct CopyRange {
  const char *from;
  char *to;
  size_t bytes;
};

void BatchCopy(const CopyRange *ranges, unsigned count) {
  for (const CopyRange *range = ranges; range != ranges + count; range++) {
    if (Check("a source", range->from, range->bytes) && Check("a copy", range->to, range->bytes)) {
      memcpy(range->to, range->from, range->bytes);
    }
  }
}

Task BatchCopyUploaded(dim3 grid, dim3, void **arguments) {
  return [=, ranges = *static_cast<const CopyRange *const *>(arguments[0])](int) {
    if (Check("ranges", ranges, grid.x * sizeof(CopyRange))) {
      BatchCopy(ranges, grid.x);
    }
  };
}

Task BatchCopyInline(dim3 grid, dim3, void **arguments) {
  const auto *first = static_cast<const CopyRange *>(arguments[0]);
  return [ranges = std::vector<CopyRange>(first, first + grid.x)](int) {
    BatchCopy(ranges.data(), static_cast<unsigned>(ranges.size()));
  };
}

template <class Tile>
void AddTile(Kernels &kernels) {
  const std::string tile = Demangled(typeid(Tile).name()), mix = "void dali_mix::Mix";
  kernels[mix + "Inline<" + tile + ", 32>(dali_mix::InlineBatch<32>)"] = MixInline<Tile, 32>;
  kernels[mix + "Inline<" + tile + ", 256>(dali_mix::InlineBatch<256>)"] = MixInline<Tile, 256>;
  kernels[mix + "Uploaded<" + tile + ", false>(dali_mix::UploadedBatch)"] =
      MixUploaded<Tile, false>;
  kernels[mix + "Uploaded<" + tile + ", true>(dali_mix::UploadedBatch)"] = MixUploaded<Tile, true>;
}

// All that VisitTile chooses from: it falls back to the general one where there is no other.
Kernels AllKernels() {
  Kernels kernels = {
      {"dali::kernels::BatchCopy(dali::kernels::detail::CopyRange const*)", BatchCopyUploaded},
      {"dali::kernels::BatchCopy(dali::kernels::CopyRanges)", BatchCopyInline},
  };
  const auto add = [&kernels]<class Tile>() { AddTile<Tile>(kernels); };
  for (const OutType out : {OutType::kFloat, OutType::kHalf, OutType::kUint8, OutType::kInt8}) {
    for (const InType in : {InType::kUint8, InType::kFloat, InType::kHalf}) {
      for (const int channels : {1, 2, 3, 4}) {
        for (const int out_channels : {1, 2, 3, 4}) {
          for (const bool planar : {false, true}) {
            VisitTile({in, out, channels, out_channels, true, planar, false}, add);
          }
        }
      }
    }
  }
  for (const InType in : {InType::kCopied1, InType::kCopied2, InType::kCopied4, InType::kCopied8}) {
    VisitCopied(in, add);
  }
  return kernels;
}

}  // namespace

Task LaunchOf(const std::string &name, dim3 grid, dim3 block, void **arguments) {
  static const Kernels &kernels = *new Kernels(AllKernels());
  const auto found = kernels.find(name);
  if (found == kernels.end()) {
    return {};
  }
  return [name, task = found->second(grid, block, arguments)](int device) {
    struct sigaction action = {}, before;
    action.sa_sigaction = [](int, siginfo_t *, void *) {
      running_on < 0 ? std::abort() : siglongjmp(beyond, 1);
    };
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &before);
    running_on = device;
    LetKernelsReach(true);
    if (sigsetjmp(beyond, 1) == 0) {
      task(device);
    } else {
      Fault("a kernel touches memory that it must not: %s", name.c_str());
    }
    LetKernelsReach(false);
    running_on = -1;
    sigaction(SIGSEGV, &before, nullptr);
  };
}

}  // namespace fake_gpu
