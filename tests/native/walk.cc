// Runs the CUDA kernel's own functions on the host, thread by thread, and the CPU loops beside
// them. Built and called by tests/support/kernel_cases.py through ctypes, which knows the
// structures.
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernel/batch_params.h"
#include "kernel/kernel.h"
#include "loops/dispatch.h"

using namespace dali_mix;

extern "C" {

struct WalkCall {
  RowsKey key;
  Call call;
  const Sample *samples;
  const Bytes *bytes;  // [samples][images]
  const int64_t *out_bytes;
  int32_t count;
};
}

namespace {

constexpr size_t kMargin = 64;

// An output to write to: filled with one byte, with margins, and placed like `like` relative to 16
// bytes, since the kernel stores wide only where the address allows.
class Background {
 public:
  Background(size_t bytes, uint8_t fill, const uint8_t *like)
      : memory_(bytes + 2 * kMargin + 16, fill), clean_(memory_) {
    const auto place = [](const uint8_t *at) { return reinterpret_cast<uintptr_t>(at) % 16; };
    first_ = kMargin + (place(like) + 16 - place(memory_.data() + kMargin) % 16) % 16;
  }
  uint8_t *begin() { return memory_.data() + first_; }
  bool IsClean() const { return memory_ == clean_; }
  bool MarginsAreClean(size_t bytes) const {
    const size_t end = first_ + bytes;
    return !std::memcmp(memory_.data(), clean_.data(), first_) &&
           !std::memcmp(memory_.data() + end, clean_.data() + end, memory_.size() - end);
  }
  void Clean() { memory_ = clean_; }

 private:
  std::vector<uint8_t> memory_, clean_;
  size_t first_;
};

// One block of threads. Adds, for each byte of the output, how many threads wrote it: a byte was
// written if two runs over different backgrounds left it alike. False: written outside.
template <class Tile, bool kLayered>
bool WalkBlock(const WalkCall &walk, std::vector<Sample> &samples, const Schedule &schedule,
               int block, uint8_t *out, int32_t *writes) {
  const int sample = schedule.SampleOf(block);
  const size_t bytes = walk.out_bytes[sample];
  Background dark(bytes, 0xa5, out), light(bytes, 0x5a, out);
  for (int thread = 0; thread < kThreads; thread++) {
    for (Background *background : {&dark, &light}) {
      samples[sample].out = background->begin();
      WriteTile<Tile, kLayered>(walk.call, samples[sample], schedule.work[sample], sample, block,
                                thread);
    }
    if (dark.IsClean() && light.IsClean()) {
      continue;
    }
    if (!dark.MarginsAreClean(bytes) || !light.MarginsAreClean(bytes)) {
      return false;
    }
    for (size_t k = 0; k < bytes; k++) {
      if (dark.begin()[k] != light.begin()[k]) {
        continue;
      }
      writes[k]++;
      out[k] = dark.begin()[k];
    }
    dark.Clean();
    light.Clean();
  }
  return true;
}

template <class Tile, bool kLayered>
bool Walk(const WalkCall &walk, uint8_t *const *outs, int32_t *const *writes) {
  std::vector<Sample> samples(walk.samples, walk.samples + walk.count);
  std::vector<Work> work(walk.count);
  const int blocks = CutBlocks<Tile::kPixels>(samples.data(), walk.count, work.data());
  const Schedule schedule = MakeSchedule(work.data(), walk.count, blocks);
  for (int block = 0; block < blocks; block++) {
    const int i = schedule.SampleOf(block);
    if (!WalkBlock<Tile, kLayered>(walk, samples, schedule, block, outs[i], writes[i])) {
      return false;
    }
  }
  return true;
}

sigjmp_buf fault;

void OnFault(int) { siglongjmp(fault, 1); }

}  // namespace

extern "C" {

// Every (block, thread) of the launch. Returns what went wrong, null: nothing.
const char *walk_kernel(const WalkCall *walk, uint8_t *const *outs, int32_t *const *writes) {
  struct sigaction action = {}, before;
  action.sa_handler = OnFault;
  sigaction(SIGSEGV, &action, &before);
  const char *wrong = nullptr;
  if (sigsetjmp(fault, 1)) {
    wrong = "a thread touched memory that is not the image's";
  } else {
    VisitTile(walk->key, [&]<class Tile>() {
      const bool good = walk->call.layers ? Walk<Tile, true>(*walk, outs, writes)
                                          : Walk<Tile, false>(*walk, outs, writes);
      if (!good) {
        wrong = "a thread wrote outside the output";
      }
    });
  }
  sigaction(SIGSEGV, &before, nullptr);
  return wrong;
}

// The CPU loops: the portable ones, or the vector loops, where this kind of processor has them.
void walk_rows(const WalkCall *walk, uint8_t *const *outs, int32_t vector, int32_t stream) {
  RowsKey key = walk->key;
  key.stream = stream;
#if defined(__aarch64__)
  const RowsFn rows = vector ? RowsNeon(key) : RowsBaseline(key);
#else
  const RowsFn rows = vector ? RowsAvx512(key) : RowsBaseline(key);
#endif
  for (int i = 0; i < walk->count; i++) {
    CpuSample cpu;
    static_cast<Sample &>(cpu) = walk->samples[i];
    cpu.out = outs[i];
    cpu.more = cpu.layers < 0 ? nullptr : walk->call.layers + cpu.layers;
    cpu.bytes = walk->bytes + static_cast<ptrdiff_t>(i) * walk->call.images;
    cpu.index = i;
    rows(walk->call, cpu, 0, cpu.height);
  }
}

// The division of a schedule: how many of the numbers below it gets wrong.
int64_t wrong_rows(int32_t per_row, const int32_t *tiles, int64_t count) {
  const Work work = MakeWork(0, per_row);
  int64_t wrong = 0;
  for (int64_t i = 0; i < count; i++) {
    wrong += work.RowOf(tiles[i]) != tiles[i] / per_row;
  }
  return wrong;
}

int32_t sample_of(const int32_t *first_blocks, int32_t samples, int32_t blocks, int32_t block) {
  std::vector<Work> work(samples);
  for (int i = 0; i < samples; i++) {
    work[i].first_block = first_blocks[i];
  }
  return MakeSchedule(work.data(), samples, blocks).SampleOf(block);
}

// The bytes of parameters that a batch of `samples` is launched with, 0: it is uploaded.
int32_t inline_bytes(int32_t samples, int32_t channels, int32_t images, bool layers) {
  const std::vector<Sample> all(samples);
  const std::vector<Layers> some(layers);
  const std::vector<Single> singles(channels);
  const std::vector<double> factors(channels);
  const std::vector<float> weights(samples * channels * images);
  const HostBatch batch = {Call{}, all, some, singles, factors, weights};
  return InlineBatch<kFew>::Fits(batch)    ? sizeof(InlineBatch<kFew>)
         : InlineBatch<kMany>::Fits(batch) ? sizeof(InlineBatch<kMany>)
                                           : 0;
}

int64_t size_of_call() { return sizeof(WalkCall); }
int64_t size_of_sample() { return sizeof(Sample); }
int64_t size_of_layers() { return sizeof(Layers); }

void halves_to_floats(const uint16_t *halves, float *floats, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    floats[i] = HalfToFloatSoft({halves[i]});
  }
}

void floats_to_halves(const float *floats, uint16_t *halves, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    halves[i] = FloatToHalfSoft(floats[i]).bits;
  }
}
}
