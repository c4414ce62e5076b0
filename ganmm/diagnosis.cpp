#include "ganmm/diagnosis.h"

#include <algorithm>
#include <cmath>

namespace ganmm {
namespace {

constexpr double kTinyShare = 0.02;  // of the mean size
constexpr double kHugeShare = 0.95;  // of all points
constexpr double kSureShare = 0.25;  // of the way from a guess to certainty

// "clusters 1, 4" of those that `wanted` picks; empty when it picks none.
template <class Wanted>
std::string list(const std::vector<Index>& sizes, Wanted wanted) {
  std::string text;
  int count = 0;
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    if (!wanted(sizes[c])) continue;
    text += (count++ == 0 ? " " : ", ") + std::to_string(c);
  }
  return count == 0 ? "" : (count == 1 ? "cluster" : "clusters") + text;
}

}  // namespace

std::string diagnose(const FitResult& result) {
  const Settings& settings = result.model.settings;
  const auto points = static_cast<double>(result.prediction.assignments.size());
  const auto clusters = static_cast<double>(settings.clusters);
  std::vector<Index> sizes(static_cast<std::size_t>(settings.clusters), 0);
  for (const std::int32_t cluster : result.prediction.assignments) {
    ++sizes[static_cast<std::size_t>(cluster)];
  }
  std::string found;
  const auto add = [&](const std::string& sign) { found += (found.empty() ? "" : "; ") + sign; };

  const std::string empty = list(sizes, [](Index size) { return size == 0; });
  if (!empty.empty()) add("no points in " + empty);
  const std::string tiny = list(sizes, [&](Index size) {
    return size > 0 && static_cast<double>(size) < kTinyShare * points / clusters;
  });
  if (!tiny.empty()) add("next to no points in " + tiny);
  const std::string huge =
      list(sizes, [&](Index size) { return static_cast<double>(size) > kHugeShare * points; });
  if (settings.clusters > 1 && !huge.empty()) add("nearly all points in " + huge);
  const auto lost = std::ranges::count_if(result.training.confidence,
                                          [](double sure) { return !std::isfinite(sure); });
  if (lost > 0) add(message("diverged restarts: ", lost));
  const double guess = 1.0 / clusters;
  if (settings.method != Method::kmeans && settings.clusters > 1 &&
      result.prediction.confidence < guess + kSureShare * (1.0 - guess)) {
    add(message("mean confidence ", result.prediction.confidence, ", a guess has ", guess));
  }
  if (found.empty()) return found;
  return "this clustering looks degenerate: " + found +
         "; try another --seed, --scale or -k, or more --restarts";
}

}  // namespace ganmm
