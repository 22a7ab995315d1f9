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

// Which samples share one draw.
enum class Per { kSample, kPair, kBatch };

class PlanArguments {
 public:
  // Refuses wrong constant arguments.
  explicit PlanArguments(const dali::OpSpec &spec);

  // Reads the arguments for one batch. The images give the number of samples and their sizes, if
  // there are images.
  void Acquire(const dali::OpSpec &spec, const dali::Workspace &ws);

  // Constant.
  std::vector<Method> methods;
  FurtherColumns further;
  int images = 2, boxes = 1;  // largest numbers in one sample
  Per per, prob_per, choose_per;

  // Of the present batch.
  std::vector<Volume> sizes;  // sizes of the images after their crop; of the outputs, if no canvas
  bool sequences = false;

  int Count() const { return static_cast<int>(sizes.size()); }
  // The size of the output for an image of this size.
  Volume OutputOf(const Volume &image) const;
  float Prob(int i) const { return prob_[i].data[0]; }
  const float *MethodWeights(int i) const { return weights_[i].data; }
  // `unit`: the sample whose random numbers sample i uses.
  Wanted WantedOf(int method, int unit, int i) const;
  // The given box of a sample, if there is one and the method is cutmix.
  std::optional<Box> GivenBox(int method, int i) const;
  Partners PartnersOf(const RandomStreams &streams) const;

 private:
  void CheckOptions(const dali::OpSpec &spec) const;
  void CheckGivenLam() const;
  void CheckCanvas() const;
  void CheckOverlap() const;
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
