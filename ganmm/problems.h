// Problems with settings, reported together.
#pragma once

#include "kernels/core/error.h"

#include <string>

namespace ganmm {

class Problems {
 public:
  template <class... Parts>
  void expect(bool good, const Parts&... parts) {
    if (!good) text_ += (text_.empty() ? "" : "; ") + message(parts...);
  }
  void report() const { require<ConfigError>(text_.empty(), text_); }

 private:
  std::string text_;
};

}  // namespace ganmm
