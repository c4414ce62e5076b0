// ganmm predict: assigns new points with a trained model.
#include "ganmm/metrics.h"
#include "ganmm/model.h"
#include "io/atomic_file.h"
#include "io/npy.h"
#include "tools/commands.h"
#include "tools/metrics_json.h"
#include "tools/options.h"
#include "tools/score_report.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

namespace ganmm::tools {
namespace {

struct PredictArguments {
  std::string model;
  DataArguments data;
  DeviceArguments device;
  std::string out = "ganmm-predict";
  bool json = false;
};

int run_predict(const PredictArguments& arguments) {
  arguments.device.require_available();
  const Model model = load_model(arguments.model);
  io::Dataset data = io::load_dataset(arguments.data.path, arguments.data.load);
  require_fit(model, data, arguments.model);
  io::apply(model.scaling, data.values, data.item.count());
  Lanes lanes = arguments.device.lanes();
  io::require_writable_folder(arguments.out);

  const std::filesystem::path folder = arguments.out;
  io::NpyWriter posteriors((folder / "posteriors.npy").string(), {data.rows, model.clusters()});
  const Prediction prediction =
      predict(model, data.values, data.rows, lanes,
              [&](std::span<const float> values) { posteriors.write(values); });
  nlohmann::ordered_json json = {
      {"n", data.rows}, {"clusters", model.clusters()}, {"confidence", prediction.confidence}};
  std::optional<Scores> scores;
  if (!data.labels.empty()) {
    scores = score(prediction.assignments, data.labels);
    add_scores(json, *scores, data.label_names);
  }
  io::write_npy((folder / "assignments.npy").string(), {data.rows}, prediction.assignments.data());
  posteriors.commit();
  if (arguments.json) {
    std::cout << to_line(json) << '\n';
  } else {
    std::cout << data.rows << " points in " << model.clusters() << " clusters, confidence "
              << prediction.confidence << '\n';
    if (scores) print_scores(std::cout, *scores);
    std::cout << arguments.out << ": assignments.npy posteriors.npy\n";
  }
  return 0;
}

}  // namespace

Command add_predict(CLI::App& program) {
  CLI::App* app = program.add_subcommand("predict", "Assign new points with a trained model");
  auto arguments = std::make_shared<PredictArguments>();
  app->add_option("MODEL", arguments->model, "model.safetensors of a run folder")->required();
  arguments->data.add_to(*app);
  arguments->device.add_to(*app);
  app->add_option("--out", arguments->out, "folder for assignments.npy and posteriors.npy")
      ->type_name("DIR")
      ->capture_default_str();
  app->add_flag("--json", arguments->json, "print the result as one line of JSON");
  return [arguments] { return run_predict(*arguments); };
}

}  // namespace ganmm::tools
