// DALI's random numbers behind the interface of the draw.
#ifndef DALI_MIX_NATIVE_DALI_RANDOM_STREAMS_H_
#define DALI_MIX_NATIVE_DALI_RANDOM_STREAMS_H_

#include <functional>
#include <memory>
#include <utility>

#include "dali/operators/random/beta_distribution.h"
#include "draw/random.h"

namespace dali_mix {

using Generator = dali::Philox4x32_10;

// DALI's generator, and DALI's Beta distribution.
class DaliRandom : public Random {
 public:
  explicit DaliRandom(const Generator &generator) : generator_(generator) {}
  uint32_t Next() override { return generator_.next(); }
  double Beta(double alpha, double beta) override {
    return dali::BetaDistributionImpl<double>(alpha, beta).Generate(generator_);
  }

 private:
  Generator generator_;
};

// The streams are parts of DALI's generators of the samples.
class DaliStreams : public RandomStreams {
 public:
  using GeneratorOf = std::function<Generator(int sample)>;
  explicit DaliStreams(GeneratorOf generator_of) : generator_of_(std::move(generator_of)) {}
  std::unique_ptr<Random> Open(int sample, uint64_t stream) const override {
    Generator generator = generator_of_(sample);
    generator.skipahead(stream << 32);
    return std::make_unique<DaliRandom>(generator);
  }

 private:
  GeneratorOf generator_of_;
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_RANDOM_STREAMS_H_
