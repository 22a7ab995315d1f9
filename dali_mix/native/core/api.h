// What a shared library offers to others; all else in it is hidden.
#ifndef DALI_MIX_NATIVE_CORE_API_H_
#define DALI_MIX_NATIVE_CORE_API_H_

#define DALI_MIX_API __attribute__((visibility("default")))

#endif  // DALI_MIX_NATIVE_CORE_API_H_
