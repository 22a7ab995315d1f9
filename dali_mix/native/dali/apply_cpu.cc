// fn.dali_mix.apply on the CPU.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>

#include "apply_op.h"
#include "loops/dispatch.h"

namespace dali_mix {

using dali::CPUBackend;

class ApplyCpu : public ApplyOp<CPUBackend> {
 public:
  using ApplyOp<CPUBackend>::ApplyOp;
  void RunImpl(dali::Workspace &ws) override;

 private:
  const Isa isa_ = ChosenIsa();
};

namespace {

// Stores of a larger output bypass the cache, because it would evict images that are still to be
// read. Outputs of 8 bits do not: arithmetic limits them, and such stores wait if images lie at the
// same place of a page.
constexpr int64_t kStreamBytes = int64_t{2} << 20;

// Asks Linux for large pages in an output. The first writes then fault a few hundred times less
// often, and later ones miss the address cache less often. Only pages that lie inside the output
// are asked for, so no other memory is taken. A refusal does no harm.
void AskForLargePages(void *begin, int64_t bytes) {
  constexpr uintptr_t kPage = 2 << 20;
  const auto address = reinterpret_cast<uintptr_t>(begin);
  const uintptr_t first = (address + kPage - 1) / kPage * kPage;
  const uintptr_t last = (address + static_cast<uintptr_t>(bytes)) / kPage * kPage;
  if (first < last) {
    madvise(reinterpret_cast<void *>(first), last - first, MADV_HUGEPAGE);
  }
}

// Work of one thread: successive rows, from row `y` of sample `sample` on into further samples.
struct Strip {
  int sample, y;
  int64_t rows;
};

// Cuts the rows of all samples into strips of about equal size. The number of rows measures the
// work, since the samples of a batch have similar widths.
std::vector<Strip> CutStrips(const std::vector<CpuSample> &samples, int count) {
  int64_t total = 0;
  for (const auto &sample : samples) {
    total += sample.height;
  }
  std::vector<Strip> strips;
  int sample = 0, y = 0;
  for (int s = 0; s < count; s++) {
    const int64_t rows = total * (s + 1) / count - total * s / count;
    if (rows > 0) {
      strips.push_back({sample, y, rows});
    }
    for (int64_t rest = rows; rest > 0;) {
      const int64_t taken = std::min<int64_t>(rest, samples[sample].height - y);
      rest -= taken;
      y += static_cast<int>(taken);
      if (y == samples[sample].height) {
        sample++;
        y = 0;
      }
    }
  }
  return strips;
}

void WriteStrip(RowsFn write_rows, const Call &call, const std::vector<CpuSample> &samples,
                Strip strip) {
  while (strip.rows > 0) {
    const CpuSample &sample = samples[strip.sample++];
    const int end = static_cast<int>(std::min<int64_t>(sample.height, strip.y + strip.rows));
    write_rows(call, sample, strip.y, end);
    strip.rows -= end - strip.y;
    strip.y = 0;
  }
}

// Every free thread takes the next strip. The calling thread works too: it would only wait
// otherwise, and it begins at once, while the others must be woken.
void WriteStrips(RowsFn write_rows, const Call &call, const std::vector<CpuSample> &samples,
                 dali::ThreadPool &threads) {
  // Enough strips, so that the threads end at about the same time.
  constexpr int kStripsPerThread = 32;
  const std::vector<Strip> strips = CutStrips(samples, kStripsPerThread * threads.NumThreads());
  std::atomic<size_t> next = 0;
  const auto take = [&] {
    for (size_t s; (s = next++) < strips.size();) {
      WriteStrip(write_rows, call, samples, strips[s]);
    }
  };
  for (int thread = 1; thread < threads.NumThreads(); thread++) {
    threads.AddWork(take);
  }
  threads.RunAll(false);
  take();
  threads.WaitForWork();
}

std::vector<CpuSample> CpuSamples(const Batch &batch, int images) {
  std::vector<CpuSample> samples;
  samples.reserve(batch.samples.size());
  for (const Sample &sample : batch.samples) {
    const int index = static_cast<int>(samples.size());
    const Layers *layers = sample.layers < 0 ? nullptr : &batch.layers[sample.layers];
    samples.push_back({{sample, layers}, &batch.bytes[size_t(index) * images], index});
  }
  return samples;
}

}  // namespace

void ApplyCpu::RunImpl(dali::Workspace &ws) {
  auto &output = ws.Output<CPUBackend>(0);
  output.SetLayout(call_.input.output_layout);
  const Batch batch = call_.MakeBatch(MakeBuffers(ws, call_.canvases.bytes.data()));
  Call call = call_.MakeCall();
  call.singles = call_.coefficients.singles.data();
  call.factors = call_.coefficients.factors.data();
  call.weights = batch.weights.data();
  const std::vector<CpuSample> samples = CpuSamples(batch, call.images);
  RowsKey key = call_.key;
  const auto bytes = static_cast<int64_t>(output.nbytes());
  key.stream = bytes > kStreamBytes && output.type_info().size() > 1;
  if (bytes > 0 && output.IsContiguous()) {
    AskForLargePages(output.raw_mutable_tensor(0), bytes);
  }
  const RowsFn write_rows = SelectRows(isa_, key);
  WriteStrips(write_rows, call, samples, ws.GetThreadPool());
}

#if defined(DALI_MIX_CPU_ONLY)
// Stands for the CUDA backend, so that a GPU pipeline gets an error when its graph is built.
class ApplyGpuMissing : public dali::StatelessOperator<dali::GPUBackend> {
 public:
  explicit ApplyGpuMissing(const dali::OpSpec &spec)
      : dali::StatelessOperator<dali::GPUBackend>(spec) {
    throw std::runtime_error(
        "this dali_mix was built without CUDA and cannot mix GPU images. Reinstall it with "
        "`DALI_MIX_CUDA=13 pip install --force-reinstall --no-deps dali_mix` (from a checkout: "
        "`DALI_MIX_CUDA=13 pip install .`), or mix on the CPU.");
  }
  bool SetupImpl(std::vector<dali::OutputDesc> &, const dali::Workspace &) override {
    return false;
  }
  void RunImpl(dali::Workspace &) override {}
};
#endif

}  // namespace dali_mix

namespace dali {
DALI_REGISTER_OPERATOR(dali_mix__Apply, dali_mix::ApplyCpu, CPU);
#if defined(DALI_MIX_CPU_ONLY)
DALI_REGISTER_OPERATOR(dali_mix__Apply, dali_mix::ApplyGpuMissing, GPU);
#endif
}  // namespace dali
