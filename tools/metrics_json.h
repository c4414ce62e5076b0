// metrics.json: what was asked for, what came out, how long it took.
#pragma once

#include "ganmm/fit.h"
#include "ganmm/metrics.h"

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace ganmm::tools {

// A finished fit.
struct FitRecord {
  const io::Dataset& data;
  const FitOptions& options;
  const Settings& settings;  // resolved
  const FitResult& result;
  const std::optional<Scores>& scores;  // with labels
  Index steps = 0;                      // iterations done, pre-training included
};

std::vector<Index> cluster_sizes(const FitRecord& record);  // [N]

nlohmann::ordered_json settings_json(const Settings& settings, io::ScaleKind scale);
nlohmann::ordered_json metrics_json(const FitRecord& record);

// JSON text in one line, or indented. Bytes of the user's files that are not UTF-8 are replaced.
std::string to_line(const nlohmann::ordered_json& json);
std::string to_text(const nlohmann::ordered_json& json);

}  // namespace ganmm::tools
