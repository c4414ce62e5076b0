// ganmm score: how well a partition agrees with known labels.
#include "ganmm/metrics.h"
#include "io/dataset.h"
#include "tools/commands.h"
#include "tools/metrics_json.h"
#include "tools/score_report.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

namespace ganmm::tools {
namespace {

struct ScoreArguments {
  std::string assignments;
  std::string labels;
  bool json = false;
};

int run_score(const ScoreArguments& arguments) {
  const auto assignments = io::load_assignments(arguments.assignments);
  std::vector<std::string> names;
  const auto labels = io::load_labels(arguments.labels, &names);
  const Scores scores = score(assignments, labels);
  if (arguments.json) {
    nlohmann::ordered_json json = {{"n", assignments.size()},
                                   {"clusters", scores.cluster_ids.size()}};
    add_scores(json, scores, names);
    std::cout << to_line(json) << '\n';
    return 0;
  }
  print_scores(std::cout, scores);
  std::cout << "NMI with the arithmetic mean " << scores.nmi_arithmetic << '\n';
  print_confusion(std::cout, scores, names);
  return 0;
}

}  // namespace

Command add_score(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "score", "Compare a partition with labels: purity, ARI, NMI, ACC, confusion table");
  auto arguments = std::make_shared<ScoreArguments>();
  app->add_option("ASSIGNMENTS", arguments->assignments,
                  "cluster numbers: 1-D .npy, IDX, or CSV of one column")
      ->required();
  app->add_option("LABELS", arguments->labels, "classes, numbers or text, in the same formats")
      ->required();
  app->add_flag("--json", arguments->json, "print the result as one line of JSON");
  return [arguments] { return run_score(*arguments); };
}

}  // namespace ganmm::tools
