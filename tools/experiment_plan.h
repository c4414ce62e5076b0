// The experiments of the paper as data: what is clustered, by which methods, with which settings.
#pragma once

#include "ganmm/settings.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ganmm::tools {

// What an experiment reports of its runs.
enum class View {
  scores,    // a row per method: mean and spread over seeds
  shares,    // the same for several shares of the training data
  clusters,  // size, majority label and purity of every cluster of a run
  samples,   // pictures drawn by the generators
};

struct Experiment {
  std::string_view name;
  std::string_view title;
  View view = View::scores;
  Index clusters = 0;                      // of the data, and classes of its labels
  std::string_view paper;                  // its table in tools/paper_record.h
  NetKind published = NetKind::automatic;  // the published nets for this data
  std::string_view data;                   // what --data is to hold
  std::string_view bundled;                // the file that is taken without --data, or empty
  int seeds = 10;
};

// A row of a table: a method with its settings before scaling down.
struct MethodRow {
  std::string_view name;
  std::string_view title;
  std::string_view paper;  // the paper's name of the method; empty when it has none
  Settings (*start)(const Experiment& experiment);
  void (*change)(Settings& settings, const Experiment& experiment) = nullptr;
  std::string_view base = {};  // the row that the scores are compared with, or empty

  Settings settings(const Experiment& experiment) const {
    Settings s = start(experiment);
    if (change != nullptr) change(s, experiment);
    return s;
  }
};

std::span<const Experiment> experiments();
const Experiment& find_experiment(std::string_view name);  // throws ConfigError with the choices

std::span<const MethodRow> method_rows(const Experiment& experiment);
// The rows of these names, all for no names. Throws ConfigError with the choices.
std::vector<MethodRow> chosen_rows(const Experiment& experiment,
                                   const std::vector<std::string>& names);

// Shares of the data that are trained on, the largest first.
std::vector<double> shares(const Experiment& experiment);

// What a row's run is to do with this many rows of this shape. Throws ConfigError.
Settings resolved_settings(const MethodRow& row, const Experiment& experiment, std::uint64_t seed,
                           Index rows, Shape item, Index scale_down);

// Iterations, pre-training and the bounds of the sigma schedule divided by `factor`, at least 1
// each where they were; steps of the schedule that end together are one.
Settings scaled_down(Settings settings, Index factor);

}  // namespace ganmm::tools
