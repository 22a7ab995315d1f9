// The arguments of fn.dali_mix.plan, read and checked.
#ifndef DALI_MIX_NATIVE_DALI_PLAN_ARGUMENTS_H_
#define DALI_MIX_NATIVE_DALI_PLAN_ARGUMENTS_H_

#include <optional>
#include <vector>

#include "arguments.h"
#include "draw/drawn.h"
#include "draw/method.h"
#include "draw/partners.h"

namespace dali_mix {

// What shares one draw.
enum class Per { kSample, kPair, kBatch };

class PlanArguments {
 public:
  // Refuses what can never be drawn.
  explicit PlanArguments(const dali::OpSpec &spec);

  // Reads them for one batch, whose number and sizes are those of the images, if there are any.
  void Acquire(const dali::OpSpec &spec, const dali::Workspace &ws);

  // Constant.
  std::vector<Method> methods;
  FurtherColumns further;
  int images = 2, boxes = 1;  // of one sample, at most
  Per per, prob_per, choose_per;

  // Of the batch.
  std::vector<Volume> sizes;  // of the outputs
  bool sequences = false;

  int Count() const { return static_cast<int>(sizes.size()); }
  float Prob(int i) const { return prob_[i].data[0]; }
  const float *MethodWeights(int i) const { return weights_[i].data; }
  // `unit`: the sample whose random numbers decide for sample i.
  Wanted WantedOf(int method, int unit, int i) const;
  // The box of a sample, where it is given and the method cuts one.
  std::optional<Box> GivenBox(int method, int i) const;
  Partners PartnersOf(const RandomStreams &streams) const;

 private:
  void CheckOptions(const dali::OpSpec &spec) const;
  void CheckGivenLam() const;
  void AcquireSizes(const dali::OpSpec &spec, const dali::Workspace &ws);
  void CheckLengths() const;
  void CheckSample(int i) const;
  void CheckMethods() const;
  Partners GivenPartners() const;
  void CheckPairs(const Partners &partners) const;

  dali::ArgValue<float, 1> alpha_, weights_;
  dali::ArgValue<float> prob_, given_lam_;
  Column<int> given_partner_, given_box_, classes_;
  CropSize crop_size_;
  std::vector<int> fold_;
  Pairing pairing_;
  bool others_;
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_PLAN_ARGUMENTS_H_
