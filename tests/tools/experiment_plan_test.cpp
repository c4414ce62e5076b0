#include "kernels/core/error.h"
#include "tests/io/files.h"
#include "tools/experiment_plan.h"
#include "tools/paper_record.h"

#include <doctest/doctest.h>

#include <set>

namespace ganmm::tools {
namespace {

Shape item_of(const Experiment& experiment) {
  if (experiment.published == NetKind::automatic) return {28, 28, 1};
  return {experiment.published == NetKind::small ? 10 : 19};
}

// What a row's settings are, as text that tells any two apart.
std::string text_of(const Settings& s) {
  return message(to_string(s.method), s.restarts, to_string(s.select), to_string(s.net),
                 to_string(s.objective), s.learning_rate, s.classifier_steps,
                 s.classifier_learning_rate, s.double_softmax, s.single_class_batches,
                 s.freeze_readout, s.restart_empty, s.clip_in_pretraining, to_string(s.sigma),
                 s.pool, s.regularization);
}

TEST_CASE("experiments: every row has settings that hold for its data, and a name of its own") {
  for (const Experiment& experiment : experiments()) {
    CAPTURE(experiment.name);
    std::set<std::string_view> names;
    for (const MethodRow& row : method_rows(experiment)) {
      CAPTURE(row.name);
      CHECK(names.insert(row.name).second);
      const Settings settings =
          resolved_settings(row, experiment, 3, 1000, item_of(experiment), 100);
      CHECK(settings.clusters == experiment.clusters);
      CHECK(settings.seed == 3);
      CHECK(settings.iterations == row.settings(experiment).iterations / 100);
      CHECK((row.base.empty() || names.count(row.base) == 1));
    }
  }
}

TEST_CASE("experiments: the rows of the ablation are settings of their own") {
  const Experiment& ablation = find_experiment("ablation");
  std::set<std::string> texts;
  for (const MethodRow& row : method_rows(ablation)) {
    CAPTURE(row.name);
    CHECK(texts.insert(text_of(row.settings(ablation))).second);
  }
}

TEST_CASE("experiments: rows are chosen by name, fig2 takes what draws samples") {
  const Experiment& table = find_experiment("table4");
  CHECK(chosen_rows(table, {}).size() == method_rows(table).size());
  const auto rows = chosen_rows(table, {"gmm", "ganmm"});
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].name == "gmm");
  CHECK(rows[1].name == "ganmm");
  CHECK(rows[0].settings(table).regularization == 1e-3);
  for (const MethodRow& row : chosen_rows(find_experiment("fig2"), {})) {
    CHECK(row.name.substr(0, 5) == "ganmm");
    CHECK(row.name != "ganmm-reference");
  }
  io::test::check_contains(
      io::test::error_of<ConfigError>([&] { (void)chosen_rows(table, {"dbscan"}); }), "kmeans");
  io::test::check_contains(io::test::error_of<ConfigError>([] { (void)find_experiment("table6"); }),
                           "table5");
}

TEST_CASE("experiments: scaling down divides what takes time and keeps the schedule valid") {
  Settings s;  // 500 and 5000 iterations
  s.sigma = {{500, 0.5}, {1000, 0.2}, {2000, 0.1}, {0, 0.04}};
  const Settings ten = scaled_down(s, 10);
  CHECK(ten.pretrain == 50);
  CHECK(ten.iterations == 500);
  CHECK(to_string(ten.sigma) == "0.5:50,0.2:100,0.1:200,0.04");
  CHECK(ten.check_every == s.check_every);
  const Settings thousand = scaled_down(s, 1000);
  CHECK(thousand.pretrain == 1);
  CHECK(thousand.iterations == 5);
  CHECK(to_string(thousand.sigma) == "0.5:1,0.1:2,0.04");
  s.pretrain = 0;
  CHECK(scaled_down(s, 10).pretrain == 0);
  CHECK(to_string(scaled_down(s, 1).sigma) == to_string(s.sigma));
}

TEST_CASE("experiments: the paper's numbers stand by table and method") {
  const PaperScores* segmentation = paper_scores("table4", "GANMM");
  REQUIRE(segmentation != nullptr);
  CHECK(segmentation->purity == 0.7241);
  CHECK(segmentation->ari == 0.5523);
  CHECK(segmentation->nmi == 0.6428);
  CHECK(paper_scores("table4", "") == nullptr);
  CHECK(paper_scores("table2", "GANMM") == nullptr);
  REQUIRE(paper_run("GANMM") != nullptr);
  CHECK(paper_run("GANMM")->purity == 0.7462);
  CHECK(paper_run("k-means") == nullptr);
  // Its own method comes first in all of its tables.
  for (const char* table : {"table1", "table3", "table4", "table5"}) {
    for (const char* method : {"GMM", "DEC", "GANMM(EM)"}) {
      CAPTURE(table);
      CAPTURE(method);
      REQUIRE(paper_scores(table, method) != nullptr);
      CHECK(paper_scores(table, "GANMM")->purity > paper_scores(table, method)->purity);
    }
  }
}

}  // namespace
}  // namespace ganmm::tools
