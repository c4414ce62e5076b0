#include "tools/experiment_summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ganmm::tools {
namespace {

double score_of(const ExperimentRun& run, const char* key) {
  return run.record["result"][key].get<double>();
}

const ExperimentRun* finished(const std::vector<ExperimentRun>& runs, std::string_view method,
                              const ExperimentRun& like) {
  const auto found = std::find_if(runs.begin(), runs.end(), [&](const ExperimentRun& run) {
    return run.row.name == method && run.seed == like.seed && run.share == like.share &&
           !run.record.is_null();
  });
  return found == runs.end() ? nullptr : &*found;
}

}  // namespace

Spread spread_of(std::span<const double> values) {
  Spread spread;
  spread.count = static_cast<Index>(values.size());
  if (values.empty()) return spread;
  const auto n = static_cast<double>(values.size());
  spread.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
  if (values.size() > 1) spread.sd = std::sqrt(squares / (n - 1));
  return spread;
}

std::vector<SummaryRow> summarise(const Experiment& experiment,
                                  const std::vector<ExperimentRun>& runs) {
  std::vector<SummaryRow> rows;
  for (const ExperimentRun& run : runs) {
    auto row = std::find_if(rows.begin(), rows.end(), [&](const SummaryRow& known) {
      return known.row.name == run.row.name && known.share == run.share;
    });
    if (row == rows.end()) {
      row = rows.insert(rows.end(), SummaryRow{});
      row->row = run.row;
      row->share = run.share;
      if (run.share == 1) row->paper = paper_scores(experiment.paper, run.row.paper);
    }
    if (run.record.is_null()) continue;
    for (std::size_t m = 0; m < kMeasures.size(); ++m) {
      row->scores[m].push_back(score_of(run, kMeasures[m].key));
    }
    row->seconds.push_back(score_of(run, "seconds"));
    const ExperimentRun* base = finished(runs, run.row.base, run);
    if (base != nullptr) row->gain.push_back(score_of(run, "purity") - score_of(*base, "purity"));
  }
  return rows;
}

}  // namespace ganmm::tools
