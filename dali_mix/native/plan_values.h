// Single values of a plan, checked: what the operators that read plans share.
#ifndef DALI_MIX_NATIVE_PLAN_VALUES_H_
#define DALI_MIX_NATIVE_PLAN_VALUES_H_

#include "arguments.h"
#include "sample.h"

namespace dali_mix {

// An index over all inputs: input * batch + sample.
int ReadPartner(int index, int batch, int inputs, int sample);

// Weights of all images of a sample. One is the own; the first partner has what it leaves.
void ReadBlend(const Column<float> &blend, int sample, double *weights);

// Four values, inside the output.
Box ReadBox(const int *values, Extent size, int sample);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_PLAN_VALUES_H_
