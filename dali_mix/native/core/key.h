// The properties of a call that select its code on the CPU and the GPU: types, channels, layouts.
#ifndef DALI_MIX_NATIVE_CORE_KEY_H_
#define DALI_MIX_NATIVE_CORE_KEY_H_

namespace dali_mix {

// Copied values have 1, 2, 4 or 8 bytes. Nothing is computed with them.
enum class InType { kUint8, kFloat, kHalf, kCopied1, kCopied2, kCopied4, kCopied8 };
inline int SizeOf(InType type) {
  constexpr int kSizes[] = {1, 4, 2, 1, 2, 4, 8};
  return kSizes[static_cast<int>(type)];
}
enum class OutType { kFloat, kHalf, kUint8, kInt8, kCopied };

// `interleaved`: the input is HWC. `planar`: the output is CHW. `stream`, for a CPU: the output is
// too large for the cache, and stores bypass the cache.
struct RowsKey {
  InType in;
  OutType out;
  int channels, out_channels;
  bool interleaved, planar, stream;
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_KEY_H_
