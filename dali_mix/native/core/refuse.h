// Refuses wrong values of the user. Python gets a ValueError of one sentence.
#ifndef DALI_MIX_NATIVE_CORE_REFUSE_H_
#define DALI_MIX_NATIVE_CORE_REFUSE_H_

#include <sstream>
#include <stdexcept>
#include <string>

namespace dali_mix {

// Joins the parts into one text.
template <typename... Parts>
std::string Text(const Parts &...parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

template <typename... Parts>
[[noreturn]] void Refuse(const Parts &...parts) {
  throw std::invalid_argument(Text(parts...));
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_REFUSE_H_
