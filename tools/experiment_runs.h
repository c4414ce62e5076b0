// The runs of an experiment. A run trains one method with one seed on one share of the data and
// scores the whole set; when it is finished it is one file, and a later call reads it instead of
// training again.
#pragma once

#include "tools/experiment_data.h"
#include "tools/experiment_plan.h"
#include "tools/options.h"
#include "tools/stop_signals.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace ganmm::tools {

struct ExperimentRun {
  MethodRow row;
  std::uint64_t seed = 0;
  double share = 1;   // of the rows that are trained on
  Settings settings;  // resolved
  // Everything that decides the result; what a finished file must agree with.
  nlohmann::ordered_json identity;
  std::string path;               // of its file
  std::string picture;            // the name of its samples beside the report, or empty
  nlohmann::ordered_json record;  // what the file holds; null until the run is finished
};

struct ExperimentCall {
  const Experiment& experiment;
  std::vector<MethodRow> rows;
  Index seeds = 0;  // 0 .. seeds - 1
  Index scale_down = 1;
  std::string out;
  DeviceArguments device;
};

// All runs, seed by seed, with the records of those that are finished. Throws ConfigError when a
// file of a run was made with other settings, InputError when one cannot be read.
std::vector<ExperimentRun> plan_runs(const ExperimentCall& call, const ExperimentData& data);

// Trains and scores a run, writes its file and fills its record. False when a signal came first:
// then nothing is written.
bool execute(ExperimentRun& run, const ExperimentCall& call, ExperimentData& data,
             const StopSignals& signals);

// "table4 ganmm seed 3", with the share where it is not all.
std::string to_string(const ExperimentRun& run, const Experiment& experiment);

}  // namespace ganmm::tools
