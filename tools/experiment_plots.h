// The pictures of the experiments, as SVG.
#pragma once

#include "tools/experiment_summary.h"

#include <string>
#include <vector>

namespace ganmm::tools {

// A panel per measure, a line per method: every seed, their mean with one standard deviation to
// each side, and the paper's number.
std::string score_plot(const ExperimentCall& call, const std::vector<SummaryRow>& rows);

// A panel per measure: the methods' means and deviations against the share that was trained on.
std::string share_plot(const ExperimentCall& call, const std::vector<SummaryRow>& rows);

// A panel per finished run: size and majority of every cluster.
std::string cluster_plot(const ExperimentCall& call, const std::vector<ExperimentRun>& runs);

}  // namespace ganmm::tools
