#include "ganmm/diagnosis.h"

#include <doctest/doctest.h>

#include <limits>

namespace ganmm {
namespace {

// Clusters of these sizes.
FitResult result_of(const std::vector<Index>& sizes, double confidence = 0.9) {
  FitResult result;
  result.model.settings.clusters = static_cast<Index>(sizes.size());
  result.prediction.confidence = confidence;
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    result.prediction.assignments.insert(result.prediction.assignments.end(),
                                         static_cast<std::size_t>(sizes[c]),
                                         static_cast<std::int32_t>(c));
  }
  return result;
}

bool names(const FitResult& result, const std::string& sign) {
  return diagnose(result).find(sign) != std::string::npos;
}

}  // namespace

TEST_CASE("diagnosis: clusters of usual sizes raise no word") {
  CHECK(diagnose(result_of({300, 100, 20})).empty());
  CHECK(diagnose(result_of({100})).empty());
  CHECK(diagnose(result_of({100, 100}, 0.63)).empty());
}

TEST_CASE("diagnosis: what looks degenerate is named") {
  CHECK(names(result_of({300, 0, 300}), "no points in cluster 1;"));
  CHECK(names(result_of({300, 0, 300, 0}), "no points in clusters 1, 3;"));
  CHECK(names(result_of({300, 3, 300}), "next to no points in cluster 1;"));
  CHECK(names(result_of({970, 30}), "nearly all points in cluster 0;"));
  CHECK(names(result_of({100, 100}, 0.62), "mean confidence 0.62, a guess has 0.5;"));
  FitResult diverged = result_of({100, 100});
  diverged.training.confidence = {0.9, std::numeric_limits<double>::quiet_NaN()};
  CHECK(names(diverged, "diverged restarts: 1;"));
  const std::string line = diagnose(result_of({1000, 0}));
  CHECK(line.find("no points in cluster 1; nearly all points in cluster 0;") != std::string::npos);
  CHECK(line.find('\n') == std::string::npos);
}

TEST_CASE("diagnosis: nearest centres have no confidence to doubt") {
  FitResult result = result_of({100, 100}, 0.0);
  CHECK(!diagnose(result).empty());
  result.model.settings.method = Method::kmeans;
  CHECK(diagnose(result).empty());
}

}  // namespace ganmm
