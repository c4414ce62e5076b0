// ganmm experiment: a table or figure of the paper, with seeds, mean and spread.
#include "io/atomic_file.h"
#include "io/png.h"
#include "tools/commands.h"
#include "tools/experiment_report.h"
#include "tools/experiment_runs.h"
#include "tools/stop_signals.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iomanip>
#include <iostream>

namespace ganmm::tools {
namespace {

struct ExperimentArguments {
  std::string name;
  DataArguments data;
  Index seeds = 0;
  std::vector<std::string> methods;
  Index scale_down = 1;
  std::string out;
  DeviceArguments device;
};

std::string footer() {
  std::string text = "Experiments:\n";
  for (const Experiment& experiment : experiments()) {
    text += message("  ", std::left, std::setw(10), experiment.name, experiment.title, '\n');
  }
  const auto methods = [](const char* experiment) {
    std::string names;
    for (const MethodRow& row : method_rows(find_experiment(experiment))) {
      names += message(names.empty() ? "" : ", ", row.name);
    }
    return names;
  };
  return text + "\nMethods: " + methods("table4") + "; of the ablation: " + methods("ablation") +
         ".\n\nFeatures are scaled as the paper's code does it (maxabs for tables, unit for "
         "images), "
         "and\nall rows of the file are scored by predict; labels score, they never train. The "
         "report is\nNAME.json, NAME.md and NAME.svg (fig2: pictures) in DIR, every finished run a "
         "file in\nDIR/runs that a later call with the same settings does not train again.";
}

void print_run(const ExperimentRun& run, const Experiment& experiment, const char* before) {
  const auto& result = run.record["result"];
  std::ostringstream line;
  line << to_string(run, experiment) << ':' << std::fixed << std::setprecision(4) << " purity "
       << result["purity"].get<double>() << "  ARI " << result["ari"].get<double>() << "  NMI "
       << result["nmi"].get<double>() << "  ACC " << result["accuracy"].get<double>() << "  "
       << std::setprecision(1) << result["seconds"].get<double>() << " s" << before << '\n';
  std::cout << line.str() << std::flush;
}

int run_experiment(const ExperimentArguments& arguments) {
  const StopSignals signals;
  arguments.device.require_available();
  const Experiment& experiment = find_experiment(arguments.name);
  require<ConfigError>(experiment.view != View::samples || io::has_png(), "experiment ",
                       experiment.name,
                       ": expected a build that writes PNG, found one without "
                       "libpng; build with -DGANMM_PNG=ON");
  const ExperimentCall call{experiment,
                            chosen_rows(experiment, arguments.methods),
                            arguments.seeds == 0 ? experiment.seeds : arguments.seeds,
                            arguments.scale_down,
                            arguments.out.empty() ? message("ganmm-", experiment.name)
                                                  : arguments.out,
                            arguments.device};
  ExperimentData data =
      load_experiment_data(experiment, arguments.data.path, arguments.data.load, call.scale_down);
  std::vector<ExperimentRun> runs = plan_runs(call, data);
  io::require_writable_folder((std::filesystem::path(call.out) / "runs").string());

  std::vector<std::string> files;
  for (ExperimentRun& run : runs) {
    const bool known = !run.record.is_null();
    if (!known && (signals.requested() || !execute(run, call, data, signals))) break;
    print_run(run, experiment, known ? "  (finished before)" : "");
    if (!known) files = write_report(call, data, runs);
  }
  if (files.empty()) files = write_report(call, data, runs);
  std::cout << call.out << ':';
  for (const std::string& file : files) std::cout << ' ' << file;
  std::cout << '\n';
  return signals.exit_code();
}

}  // namespace

Command add_experiment(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "experiment", "Run a table or figure of the paper: seeds, means, spreads, a plot");
  auto arguments = std::make_shared<ExperimentArguments>();
  app->footer(footer());
  app->add_option("NAME", arguments->name, "table1 to table5, fig2 to fig5 or ablation; see below")
      ->required();
  app->add_option("--data", arguments->data.path,
                  "the experiment's data in a format of ganmm fit; default: of Image Segmentation "
                  "tests/data/image-segmentation.csv if it is there")
      ->type_name("FILE");
  arguments->data.add_labels_to(*app);
  app->add_option("--seeds", arguments->seeds,
                  "number of seeds, from 0 on; default: 10, table2 and fig2 1")
      ->check(CLI::Range(Index{1}, Index{10000}).description(""));
  app->add_option("--methods", arguments->methods,
                  "these rows alone, separated by commas; see below")
      ->delimiter(',')
      ->type_name("NAME,...");
  app->add_option("--scale-down", arguments->scale_down,
                  "for small machines: divides iterations, pre-training and the sigma schedule of "
                  "every method, and the rows of images; every output says so")
      ->check(CLI::Range(Index{1}, Index{1000000}).description(""))
      ->capture_default_str();
  app->add_option("--out", arguments->out, "folder of the report; default: ganmm-NAME")
      ->type_name("DIR");
  arguments->device.add_to(*app);
  return [arguments] { return run_experiment(*arguments); };
}

}  // namespace ganmm::tools
