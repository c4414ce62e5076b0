// The data of an experiment: loaded, checked against it, and scaled once for all runs.
#pragma once

#include "io/dataset.h"
#include "io/scaling.h"
#include "tools/experiment_plan.h"

#include <string>

namespace ganmm::tools {

struct ExperimentData {
  io::Dataset set;  // scaled
  io::ScaleKind scale = io::ScaleKind::automatic;
  std::string checksum;  // of the scaled values and the labels
};

// The file at `path`, or when that is empty the experiment's bundled one, whose label column is the
// last. Of images the first rows / factor are taken. Scaled as the paper's data are: statistics of
// all rows.
// Throws InputError for data without labels, with another number of classes than the experiment's,
// or for a picture without images; ConfigError when there is no file.
ExperimentData load_experiment_data(const Experiment& experiment, const std::string& path,
                                    io::LoadOptions load, Index factor);

Index rows_of_share(const io::Dataset& set, double share);  // at least 1

// A random share of the rows, drawn with the seed, in file order; without labels.
io::Dataset draw_share(const io::Dataset& set, double share, std::uint64_t seed);

}  // namespace ganmm::tools
