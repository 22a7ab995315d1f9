// The CUDA kernel against the portable CPU loop: every kind of tile on small batches, inline and
// uploaded.
#ifndef DALI_MIX_TESTS_CHECK_KERNEL_CUH_
#define DALI_MIX_TESTS_CHECK_KERNEL_CUH_

#include "kernel_batch.cuh"

inline RowsKey Key(InType in, OutType out, int channels, int out_channels, bool interleaved,
                   bool planar) {
  return {in, out, channels, out_channels, interleaved, planar, false};
}

// What a case is beside its key and mix.
inline constexpr Shape kShapes[] = {
    {{}, 3, 9, 32, {}, true, 0},         // whole tiles, all aligned
    {{}, 4, 7, 37, {}, true, 5},         // crops that begin anywhere, rows that end in a tile
    {{}, 2, 3, 131, {}, false, 13},      // several tiles of every type
    {{}, 7, 12, 41, {}, true, 3, true},  // ragged
    {{}, 260, 2, 3, {}, true, 1},        // too many samples for the parameters
    {{}, 5, 8, 24, {}, true, 0, false, true},
};

// Whether batches of every kind agree with the CPU; of all kinds one in `every`.
inline int CheckKernel(int every) {
  int kinds = 0, cases = 0, wrong = 0;
  const int channels[][2] = {{1, 1}, {3, 3}, {3, 4}, {4, 4}, {5, 5}};
  for (const InType in : {InType::kUint8, InType::kFloat, InType::kHalf}) {
    for (const OutType out : {OutType::kFloat, OutType::kHalf, OutType::kUint8, OutType::kInt8}) {
      for (const auto [c_in, c_out] : channels) {
        for (int layout = 0; layout < 4; layout++) {
          for (const Mix mix : {Mix::kBlend, Mix::kCut, Mix::kNone, Mix::kAll, Mix::kBoxes,
                                Mix::kMask, Mix::kMany}) {
            for (Shape shape : kShapes) {
              // Layers change what shows, not where it lies.
              if (mix >= Mix::kBoxes && shape.margin != 5 && !shape.ragged) {
                continue;
              }
              if (kinds++ % every != 0) {
                continue;
              }
              shape.key = Key(in, out, c_in, c_out, layout & 1, layout & 2);
              shape.mix = mix;
              cases++;
              wrong += !MixBatch(shape).MatchesHost();
            }
          }
        }
      }
    }
  }
  std::printf("%d of %d batches agree with the CPU to the bit\n", cases - wrong, cases);
  return wrong ? 1 : 0;
}

#endif  // DALI_MIX_TESTS_CHECK_KERNEL_CUH_
