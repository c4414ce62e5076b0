// What the pictures of the experiments have in common.
#pragma once

#include "tools/experiment_summary.h"
#include "tools/plot_style.h"

#include <string_view>

namespace ganmm::tools {

inline constexpr const char* kPaper = "#d55e00";
inline constexpr const char* kWarning = "#c00000";
inline constexpr double kHeader = 64;  // title and note

inline void include(Range& range, const Spread& spread) {
  range.include(spread.mean - spread.sd);
  range.include(spread.mean + spread.sd);
}

// Pixels that a text of 12 takes, on the safe side.
inline double width_of(std::string_view text) { return 7.0 * static_cast<double>(text.size()); }

inline void add_header(Svg& svg, const ExperimentCall& call, const std::string& note) {
  svg.text(kMargin, 28, message(call.experiment.name, ": ", call.experiment.title),
           {.size = 16, .colour = "#111111", .bold = true});
  if (call.scale_down > 1) {
    svg.text(kMargin, 48, message("Scaled down by ", call.scale_down, ": no result"),
             {.colour = kWarning, .bold = true});
  } else {
    svg.text(kMargin, 48, note, {.colour = kFaint});
  }
}

}  // namespace ganmm::tools
