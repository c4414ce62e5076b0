// The report of an experiment: NAME.json with every run, NAME.md with the table beside the paper's
// numbers, NAME.svg with error bars.
#pragma once

#include "tools/experiment_runs.h"

#include <string>
#include <vector>

namespace ganmm::tools {

// What was scored, and how; a sentence each. The first says that a scaled-down result is none.
std::vector<std::string> protocol(const ExperimentCall& call, const ExperimentData& data);

std::string experiment_markdown(const ExperimentCall& call, const ExperimentData& data,
                                const std::vector<ExperimentRun>& runs);

// Writes the report of the runs that are finished into call.out and returns the names of the files.
std::vector<std::string> write_report(const ExperimentCall& call, const ExperimentData& data,
                                      const std::vector<ExperimentRun>& runs);

}  // namespace ganmm::tools
