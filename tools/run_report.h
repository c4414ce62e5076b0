// report.html: what a person wants to see of a run.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace ganmm::tools {

// One page without references to other files: what was done, a warning if the result looks
// degenerate, scores, sizes and confusion table, the course of the training, samples, settings.
// `metrics`: what metrics_json gives; `history`: history.csv; `samples`: the bytes of samples.png,
// or empty. Throws nlohmann's exceptions where metrics lack a part.
std::string run_report(const nlohmann::ordered_json& metrics, const std::string& history,
                       std::string_view samples);

}  // namespace ganmm::tools
