// Runs the CUDA kernel's own functions on the host, thread by thread, and the CPU loops beside
// them. Built and called by tests/test_kernel.py through ctypes.
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernel.h"
#include "rows.h"

using namespace dali_mix;

extern "C" {

struct WalkImage {
  const uint8_t *begin;  // the buffer
  int64_t bytes;
  int64_t first;  // value behind output (0, 0, 0), in elements from `begin`
  int32_t row, column, channel;
};

struct WalkSample {
  WalkImage own, partner;
  int32_t height, width;
  int32_t box[4];
  int32_t outside;  // 0 own, 1 partner, 2 both
  int64_t out_bytes;
};

struct WalkCall {
  int32_t in, out, channels, out_channels, interleaved, planar;
  const float *singles, *weights;
  const WalkSample *samples;
  int32_t count;
};
}

namespace {

RowsKey KeyOf(const WalkCall &call) {
  return {static_cast<InType>(call.in),
          static_cast<OutType>(call.out),
          call.channels,
          call.out_channels,
          call.interleaved != 0,
          call.planar != 0,
          false};
}

Call CallOf(const WalkCall &call) {
  return {reinterpret_cast<const Single *>(call.singles),
          nullptr,
          call.weights,
          nullptr,
          call.channels,
          call.out_channels,
          2,
          call.planar != 0};
}

Source SourceOf(const WalkImage &image, InType in) {
  return {image.begin + image.first * SizeOf(in), image.row, image.column, image.channel};
}

Sample SampleOf(const WalkSample &walk, InType in, void *out) {
  return {out,
          SourceOf(walk.own, in),
          SourceOf(walk.partner, in),
          walk.height,
          walk.width,
          walk.height * walk.width,
          {walk.box[0], walk.box[1], walk.box[2], walk.box[3]},
          static_cast<Shows>(walk.outside),
          -1};
}

// An output to write to: filled with one byte, and placed like `like` relative to 16 bytes, since
// the kernel stores wide only where the address allows.
class Background {
 public:
  Background(size_t bytes, uint8_t fill, const uint8_t *like) : memory_(bytes + 32), fill_(fill) {
    const auto place = [](const uint8_t *at) { return reinterpret_cast<uintptr_t>(at) % 16; };
    begin_ = memory_.data() + (place(like) + 16 - place(memory_.data())) % 16;
  }
  uint8_t *Cleared() {
    std::memset(memory_.data(), fill_, memory_.size());
    return begin_;
  }
  const uint8_t *begin() const { return begin_; }

 private:
  std::vector<uint8_t> memory_;
  uint8_t fill_, *begin_;
};

}  // namespace

extern "C" {

// Every (block, thread) of the launch. Adds, for each byte of each output, how many threads wrote
// it: a byte was written if two runs over different backgrounds left it alike.
void walk_kernel(const WalkCall *walk, uint8_t *const *outs, int32_t *const *writes) {
  const Call call = CallOf(*walk);
  VisitTile(KeyOf(*walk), [&]<class Tile>() {
    std::vector<Sample> samples;
    for (int i = 0; i < walk->count; i++)
      samples.push_back(SampleOf(walk->samples[i], static_cast<InType>(walk->in), nullptr));
    const int blocks = BlocksFor<Tile>(samples.data(), walk->count);
    for (int i = 0; i < walk->count; i++) {
      const size_t bytes = walk->samples[i].out_bytes;
      Background dark(bytes, 0xa5, outs[i]), light(bytes, 0x5a, outs[i]);
      for (int work = 0; work < blocks * kThreads; work++) {
        for (Background *background : {&dark, &light}) {
          samples[i].out = background->Cleared();
          WriteTile<Tile>(call, samples.data(), work / kThreads, i, work % kThreads);
        }
        for (size_t k = 0; k < bytes; k++) {
          if (dark.begin()[k] != light.begin()[k]) continue;
          writes[i][k]++;
          outs[i][k] = dark.begin()[k];
        }
      }
    }
  });
}

// The CPU loops: the portable ones, or those for AVX-512.
void walk_rows(const WalkCall *walk, uint8_t *const *outs, int32_t avx512, int32_t stream) {
  const Call call = CallOf(*walk);
  RowsKey key = KeyOf(*walk);
  key.stream = stream;
  const RowsFn rows = avx512 ? RowsAvx512(key) : RowsBaseline(key);
  for (int i = 0; i < walk->count; i++) {
    const WalkSample &sample = walk->samples[i];
    CpuSample cpu;
    static_cast<Sample &>(cpu) = SampleOf(sample, static_cast<InType>(walk->in), outs[i]);
    cpu.more = nullptr;
    const Bytes bytes[] = {{sample.own.begin, sample.own.begin + sample.own.bytes},
                           {sample.partner.begin, sample.partner.begin + sample.partner.bytes}};
    cpu.bytes = bytes;
    cpu.index = i;
    rows(call, cpu, 0, sample.height);
  }
}

void halves_to_floats(const uint16_t *halves, float *floats, int64_t count) {
  for (int64_t i = 0; i < count; i++) floats[i] = HalfToFloatSoft({halves[i]});
}

void floats_to_halves(const float *floats, uint16_t *halves, int64_t count) {
  for (int64_t i = 0; i < count; i++) halves[i] = FloatToHalfSoft(floats[i]).bits;
}
}
