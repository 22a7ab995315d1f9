// Which tile a thread writes: one flat grid of blocks covers samples of any sizes. The threads of a
// block take consecutive tiles of one sample.
#ifndef DALI_MIX_NATIVE_KERNEL_SCHEDULE_H_
#define DALI_MIX_NATIVE_KERNEL_SCHEDULE_H_

#include "kernel/registers.h"

namespace dali_mix {

constexpr int kThreads = 256;

MIX_HD int DivUp(int a, int b) { return (a + b - 1) / b; }

// The blocks of one sample, and the division of its tiles into rows without a division: exact for
// numbers below 2^31, since magic is 2^(31 + shift) / tiles_per_row rounded up, and shift makes
// 2^shift no less than tiles_per_row.
struct alignas(16) Work {
  int first_block;
  uint32_t magic;
  int shift;

  MIX_HD int RowOf(int tile) const {
    return static_cast<int>(MulHigh(2 * static_cast<uint32_t>(tile), magic) >> shift);
  }
};

inline Work MakeWork(int first_block, int tiles_per_row) {
  int shift = 0;
  while ((int64_t{1} << shift) < tiles_per_row) {
    shift++;
  }
  const uint64_t scaled = uint64_t{1} << (31 + shift);
  const uint64_t magic = tiles_per_row > 0 ? (scaled + tiles_per_row - 1) / tiles_per_row : 0;
  return {first_block, static_cast<uint32_t>(magic), shift};
}

// All samples of a launch.
struct Schedule {
  const Work *work;  // [samples]
  int samples;
  float samples_per_block;

  // The last sample that begins at or before a block, which passes over those without blocks. By
  // bisection; among equal samples, the usual batch, the first look is right.
  MIX_HD int SampleOf(int block) const {
    int begin = 0, end = samples;
    int look = static_cast<int>((static_cast<float>(block) + 0.5f) * samples_per_block);
    if (look >= samples) {
      look = samples - 1;
    }
    while (true) {
      if (work[look].first_block > block) {
        end = look;
      } else if (look + 1 < samples && work[look + 1].first_block <= block) {
        begin = look + 1;
      } else {
        return look;
      }
      look = (begin + end) / 2;
    }
  }
};

// Fills `work`, one for each sample; returns how many blocks there are.
template <int kPixels>
int CutBlocks(const Sample *samples, int count, Work *work) {
  int64_t blocks = 0;
  for (int i = 0; i < count; i++) {
    const int per_row = DivUp(samples[i].width, kPixels);
    work[i] = MakeWork(static_cast<int>(blocks), per_row);
    const int64_t tiles = int64_t{per_row} * samples[i].height;
    blocks += (tiles + kThreads - 1) / kThreads;
  }
  return static_cast<int>(blocks);
}

inline Schedule MakeSchedule(const Work *work, int samples, int blocks) {
  return {work, samples, static_cast<float>(samples) / static_cast<float>(blocks)};
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_KERNEL_SCHEDULE_H_
