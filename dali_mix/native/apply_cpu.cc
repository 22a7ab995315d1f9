// fn.dali_mix.apply on the CPU.
#include <algorithm>

#include "apply_op.h"

namespace dali_mix {

using dali::CPUBackend;

class ApplyCpu : public ApplyOp<CPUBackend> {
 public:
  using ApplyOp<CPUBackend>::ApplyOp;
  void RunImpl(dali::Workspace &ws) override;

 private:
  std::vector<CpuSample> MakeSamples(dali::Workspace &ws) const;
};

namespace {

// Output beyond this is stored around the cache: it would push out what is still to be read.
constexpr int64_t kStreamBytes = int64_t{2} << 20;

// Work of one thread: a run of rows, from row `y` of sample `sample`, across samples.
struct Strip {
  int sample, y;
  int64_t rows;
};

// Cuts the rows of all samples into strips of about equal size; samples of one batch have similar
// widths, so rows measure the work.
std::vector<Strip> CutStrips(const std::vector<CpuSample> &samples, int count) {
  int64_t total = 0;
  for (const auto &sample : samples) total += sample.height;
  std::vector<Strip> strips;
  int sample = 0, y = 0;
  for (int s = 0; s < count; s++) {
    const int64_t rows = total * (s + 1) / count - total * s / count;
    if (rows > 0) strips.push_back({sample, y, rows});
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

}  // namespace

std::vector<CpuSample> ApplyCpu::MakeSamples(dali::Workspace &ws) const {
  const auto &images = ws.Input<CPUBackend>(0);
  auto &output = ws.Output<CPUBackend>(0);
  const auto image_at = [&images](int i) { return images.raw_tensor(i); };
  const auto bytes_of = [&](int i) {
    const auto *begin = static_cast<const uint8_t *>(images.raw_tensor(i));
    return Bytes{begin, begin + arguments_.ImageBytes(i)};
  };
  std::vector<CpuSample> samples;
  for (int i = 0; i < arguments_.BatchSize(); i++)
    samples.push_back({arguments_.MakeSample(i, output.raw_mutable_tensor(i), image_at),
                       bytes_of(i), bytes_of(arguments_.Partner(i)), i});
  return samples;
}

void ApplyCpu::RunImpl(dali::Workspace &ws) {
  auto &output = ws.Output<CPUBackend>(0);
  output.SetLayout(arguments_.OutputLayout());
  const std::vector<CpuSample> samples = MakeSamples(ws);
  RowsKey key = arguments_.Key();
  key.stream = static_cast<int64_t>(output.nbytes()) > kStreamBytes;
  const RowsFn write_rows = SelectRows(key);
  const Call call = arguments_.MakeCall(arguments_.Singles().data(), arguments_.Blends().data());
  auto &threads = ws.GetThreadPool();
  // Several strips a thread, so that a thread that was held up does not hold up the batch.
  constexpr int kStripsPerThread = 4;
  for (const Strip &strip : CutStrips(samples, kStripsPerThread * threads.NumThreads()))
    threads.AddWork([&, strip](int) { WriteStrip(write_rows, call, samples, strip); }, strip.rows);
  threads.RunAll();
}

#if defined(DALI_MIX_CPU_ONLY)
// Takes the place of the CUDA backend, so that a GPU pipeline is told at graph build.
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
