// Runs the CPU loops over random batches: several threads write strips of rows of the same samples,
// as those of DALI do, and every value is checked against the definition.
//
//   check_loops [guarded] BATCHES SEED [read|race|align]    the last plants a fault: random_batch.h
//   check_loops [guarded] widths FIRST LAST    batches of each width, for each key of vector loops
//   check_loops halves    conversions to and from half precision, against those in software
//
// `guarded`: all memory lies beside pages that must not be touched.
//
// Built and run by tools/sanitize.py and tools/aarch64.py.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "random_batch.h"

using namespace dali_mix;

namespace {

constexpr int kThreads = 3;

struct Loop {
  const char *name;
  RowsFn rows;
};

// The loops that run here.
std::vector<Loop> LoopsFor(const RowsKey &key) {
  std::vector<Loop> loops = {{"baseline", RowsBaseline(key)}};
#if !defined(DALI_MIX_PORTABLE)
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c")) {
    loops.push_back({"avx2", RowsAvx2(key)});
  }
  if (const RowsFn rows = RowsAvx512(key)) {
    loops.push_back({"avx512", rows});
  }
#elif defined(__aarch64__)
  loops.push_back({"neon", RowsNeon(key)});
#endif
#endif
  return loops;
}

struct Strip {
  const CpuSample *sample;
  int begin, end;
};

std::vector<Strip> CutStrips(const RandomBatch &batch, Random &random, Plant plant) {
  std::vector<Strip> strips;
  for (const CpuSample &sample : batch.samples()) {
    for (int y = 0; y < sample.height;) {
      const int end = random.In(y + 1, sample.height);
      // The fault: a row that the thread before writes as well.
      strips.push_back({&sample, plant == Plant::kRace && y > 0 ? y - 1 : y, end});
      y = end;
    }
  }
  return strips;
}

// Strips next to each other go to different threads, which share nothing but what they write to.
void WriteInThreads(RowsFn rows, const Call &call, const std::vector<Strip> &strips) {
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      for (size_t s = t; s < strips.size(); s += kThreads) {
        rows(call, *strips[s].sample, strips[s].begin, strips[s].end);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
}

template <typename In, typename Out>
bool IsMixed(const Call &call, const CpuSample &sample) {
  for (int y = 0; y < sample.height; y++) {
    for (int x = 0; x < sample.width; x++) {
      const Shown shown = ShownAt(sample, y, x);
      for (int c = 0; c < call.out_channels; c++) {
        const ptrdiff_t pixel = ptrdiff_t{y} * sample.width + x;
        const ptrdiff_t place =
            call.planar ? ptrdiff_t{c} * sample.plane + pixel : pixel * call.out_channels + c;
        Out wanted = {};
        if (c < call.channels) {
          wanted = MixPixel<In, Out>(call, sample, WeightsOf(call, sample.index), shown, y, x, c);
        }
        if (!std::memcmp(static_cast<const Out *>(sample.out) + place, &wanted, sizeof(Out))) {
          continue;
        }
        std::fprintf(stderr, "sample %d differs at (y, x, c) = (%d, %d, %d), ", sample.index, y, x,
                     c);
        return false;
      }
    }
  }
  return true;
}

using Check = bool (*)(const Call &, const CpuSample &);

template <typename In>
Check CheckFor(OutType out) {
  constexpr Check kChecks[] = {IsMixed<In, float>, IsMixed<In, Half>, IsMixed<In, uint8_t>,
                               IsMixed<In, int8_t>};
  return kChecks[static_cast<int>(out)];
}

template <typename T>
constexpr Check kCopies = IsMixed<Copied<T>, Copied<T>>;

Check CheckFor(const RowsKey &key) {
  switch (key.in) {
    case InType::kUint8:
      return CheckFor<uint8_t>(key.out);
    case InType::kFloat:
      return CheckFor<float>(key.out);
    case InType::kHalf:
      return CheckFor<Half>(key.out);
    default:
      constexpr Check kChecks[] = {kCopies<uint8_t>, kCopies<uint16_t>, kCopies<uint32_t>,
                                   kCopies<uint64_t>};
      return kChecks[static_cast<int>(key.in) - static_cast<int>(InType::kCopied1)];
  }
}

// Each loop over one batch; false if any value differs.
bool RunBatch(uint64_t seed, Plant plant, std::optional<Given> given = {}) {
  RandomBatch batch(seed, plant, given);
  Random random(seed + 1);
  const Check check = CheckFor(batch.key());
  for (const Loop &loop : LoopsFor(batch.key())) {
    batch.ClearOutputs(0xa5);
    WriteInThreads(loop.rows, batch.call(), CutStrips(batch, random, plant));
    for (const CpuSample &sample : batch.samples()) {
      if (check(batch.call(), sample)) {
        continue;
      }
      std::fprintf(stderr, "%s loop, seed %llu, width %d\n", loop.name,
                   static_cast<unsigned long long>(seed), sample.width);
      return false;
    }
  }
  return true;
}

int RunBatches(uint64_t count, uint64_t seed, Plant plant) {
  for (uint64_t i = 0; i < count; i++) {
    if (!RunBatch(seed + i, plant)) {
      return 1;
    }
  }
  std::printf("%llu batches\n", static_cast<unsigned long long>(count));
  return 0;
}

// Those for which vector.inc has loops.
std::vector<RowsKey> VectorKeys() {
  std::vector<RowsKey> keys;
  for (const OutType out : {OutType::kFloat, OutType::kHalf, OutType::kUint8, OutType::kInt8}) {
    for (const bool planar : {false, true}) {
      for (const auto &[channels, out_channels] : {std::pair(1, 1), {3, 3}, {3, 4}, {4, 4}}) {
        keys.push_back({InType::kUint8, out, channels, out_channels, true, planar, false});
      }
    }
    keys.push_back({InType::kUint8, out, 3, 3, false, true, false});
  }
  return keys;
}

int RunWidths(int first, int last) {
  const std::vector<RowsKey> keys = VectorKeys();
  for (int width = first; width <= last; width++) {
    for (size_t i = 0; i < keys.size(); i++) {
      if (!RunBatch(width * keys.size() + i, Plant::kNone, Given{keys[i], width, 4})) {
        return 1;
      }
    }
  }
  std::printf("widths %d to %d, %zu keys\n", first, last, keys.size());
  return 0;
}

bool IsRoundedAlike(uint32_t bits) {
  const float value = BitCast<float>(bits);
  if (ToHalf(value).bits == FloatToHalfSoft(value).bits) {
    return true;
  }
  std::fprintf(stderr, "float %08x is rounded to another value\n", bits);
  return false;
}

// All halves; and floats on both sides of all places where rounding turns, and between them.
int RunHalves() {
  for (uint32_t i = 0; i < 1u << 16; i++) {
    const Half half = {static_cast<uint16_t>(i)};
    if (BitCast<uint32_t>(ToFloat(half)) != BitCast<uint32_t>(HalfToFloatSoft(half))) {
      std::fprintf(stderr, "half %04x is widened to another value\n", i);
      return 1;
    }
  }
  for (uint32_t high = 0; high < 1u << 20; high++) {
    for (const uint32_t low : {0u, 1u, high * 2654435761u >> 20, 4094u, 4095u}) {
      if (!IsRoundedAlike(high << 12 | low)) {
        return 1;
      }
    }
  }
  std::printf("halves agree\n");
  return 0;
}

Plant PlantOf(const std::string &name) {
  if (name == "read") {
    return Plant::kRead;
  }
  if (name == "race") {
    return Plant::kRace;
  }
  if (name == "align") {
    return Plant::kAlign;
  }
  std::fprintf(stderr, "the fault to plant must be read, race or align, got %s\n", name.c_str());
  std::exit(2);
}

}  // namespace

int main(int argc, char **argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments[0] == "guarded") {
    Block::guarded = true;
    arguments.erase(arguments.begin());
  }
  const size_t count = arguments.size();
  if (count == 1 && arguments[0] == "halves") {
    return RunHalves();
  }
  if (count == 3 && arguments[0] == "widths") {
    return RunWidths(std::stoi(arguments[1]), std::stoi(arguments[2]));
  }
  if (count < 2 || count > 3) {
    std::fprintf(stderr, "usage: check_loops [guarded] BATCHES SEED [read|race|align]\n");
    return 2;
  }
  const Plant plant = count == 3 ? PlantOf(arguments[2]) : Plant::kNone;
  return RunBatches(std::stoull(arguments[0]), std::stoull(arguments[1]), plant);
}
