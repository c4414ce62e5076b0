#include "tools/experiment_summary.h"

#include <doctest/doctest.h>

namespace ganmm::tools {
namespace {

ExperimentRun finished(const Experiment& experiment, const std::string& method, std::uint64_t seed,
                       double share, double purity) {
  ExperimentRun run;
  run.row = chosen_rows(experiment, {method}).front();
  run.seed = seed;
  run.share = share;
  run.record["result"] = {
      {"purity", purity}, {"ari", 0.25}, {"nmi", 0.5}, {"accuracy", 0.125}, {"seconds", 2.0}};
  return run;
}

TEST_CASE("summary: mean and sample standard deviation") {
  const std::vector<double> values{1, 2, 4, 5};
  const Spread spread = spread_of(values);
  CHECK(spread.count == 4);
  CHECK(spread.mean == 3);
  CHECK(spread.sd == doctest::Approx(1.8257418583505538));  // sqrt(10 / 3)
  CHECK(spread_of(std::vector<double>{7}).mean == 7);
  CHECK(spread_of(std::vector<double>{7}).sd == 0);
  CHECK(spread_of({}).count == 0);
}

TEST_CASE("summary: a row per share and method, with the paper's numbers on all of the data") {
  const Experiment& fig = find_experiment("fig4");
  std::vector<ExperimentRun> runs;
  for (const std::uint64_t seed : {0u, 1u}) {
    for (const double share : {1.0, 0.1}) {
      for (const char* method : {"ganmm", "kmeans"}) {
        runs.push_back(finished(fig, method, seed, share, 0.5 + 0.2 * static_cast<double>(seed)));
      }
    }
  }
  runs.back().record = nullptr;  // kmeans, seed 1, 10 %: not finished
  const auto rows = summarise(fig, runs);
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].row.name == "ganmm");
  CHECK(rows[1].row.name == "kmeans");
  CHECK(rows[2].share == 0.1);
  CHECK(rows[0].scores[0] == std::vector<double>{0.5, 0.7});
  CHECK(rows[3].scores[0] == std::vector<double>{0.5});
  CHECK(rows[0].seconds == std::vector<double>{2, 2});
  REQUIRE(rows[0].paper != nullptr);
  CHECK(rows[0].paper->purity == 0.7241);
  CHECK(rows[1].paper == nullptr);
  CHECK(rows[2].paper == nullptr);
}

TEST_CASE("summary: what a row gains over its base is taken seed by seed") {
  const Experiment& ablation = find_experiment("ablation");
  const std::vector<ExperimentRun> runs{
      finished(ablation, "reference", 0, 1, 0.5), finished(ablation, "penalty", 0, 1, 0.75),
      finished(ablation, "reference", 1, 1, 0.25), finished(ablation, "penalty", 1, 1, 0.375),
      finished(ablation, "penalty", 2, 1, 1)};
  const auto rows = summarise(ablation, runs);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].gain.empty());
  CHECK(rows[1].gain == std::vector<double>{0.25, 0.125});
}

}  // namespace
}  // namespace ganmm::tools
