// What the finished runs of an experiment say together.
#pragma once

#include "tools/experiment_runs.h"
#include "tools/paper_record.h"

#include <array>
#include <span>
#include <vector>

namespace ganmm::tools {

struct Measure {
  const char* key;  // in a run's result
  const char* title;
  double PaperScores::*paper = nullptr;  // nullptr when the paper has none
};
inline constexpr std::array kMeasures{
    Measure{"purity", "purity", &PaperScores::purity}, Measure{"ari", "ARI", &PaperScores::ari},
    Measure{"nmi", "NMI", &PaperScores::nmi}, Measure{"accuracy", "ACC"}};

struct Spread {
  Index count = 0;
  double mean = 0;
  double sd = 0;  // of the sample, count - 1 in the denominator; 0 below two values
};
Spread spread_of(std::span<const double> values);

// The runs of one method on one share of the data.
struct SummaryRow {
  MethodRow row;
  double share = 1;
  std::array<std::vector<double>, kMeasures.size()> scores;  // one per finished seed, as kMeasures
  std::vector<double> seconds;
  std::vector<double> gain;            // purity less that of row.base with the same seed
  const PaperScores* paper = nullptr;  // of the method on these data; on all of them alone
};

// A row per share and method, in the order of the plan.
std::vector<SummaryRow> summarise(const Experiment& experiment,
                                  const std::vector<ExperimentRun>& runs);

}  // namespace ganmm::tools
