// What the program's pictures have in common.
#pragma once

#include "tools/svg.h"

#include <algorithm>
#include <array>
#include <limits>

namespace ganmm::tools {

// Colours that stay apart for colour-blind readers (Okabe and Ito).
inline constexpr std::array kColours{"#0072b2", "#d55e00", "#009e73",
                                     "#cc79a7", "#e69f00", "#56b4e9"};
inline constexpr const char* kGrid = "#e3e3e3";
inline constexpr const char* kFaint = "#777777";

inline constexpr double kMargin = 20;

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

inline std::vector<double> ticks_of(const Range& range) {
  return range.low <= range.high ? round_ticks(range.low, range.high, 4) : round_ticks(0, 1, 4);
}

// The grid and labels of a vertical axis whose panel begins at x.
inline void add_vertical_axis(Svg& svg, const Axis& axis, double x, double width) {
  for (std::size_t t = 0; t < axis.ticks.size(); ++t) {
    const double y = axis.pixel(axis.ticks[t]);
    svg.line(x, y, x + width, y, kGrid);
    svg.text(x - 6, y + 4, axis.label(t), {.size = 11, .anchor = Anchor::end, .colour = kFaint});
  }
}

}  // namespace ganmm::tools
