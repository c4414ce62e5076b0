// ganmm fit: clusters a data set and writes a run folder.
#include "ganmm/diagnosis.h"
#include "ganmm/metrics.h"
#include "io/atomic_file.h"
#include "tools/commands.h"
#include "tools/fit_options.h"
#include "tools/history.h"
#include "tools/metrics_json.h"
#include "tools/progress.h"
#include "tools/run_folder.h"
#include "tools/samples.h"
#include "tools/score_report.h"
#include "tools/stop_signals.h"

#include <CLI/CLI.hpp>
#include <iomanip>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

namespace ganmm::tools {
namespace {

void print_plan(const FitOptions& options, const Settings& resolved, const Trainer& trainer) {
  std::cerr << "settings: " << settings_json(resolved, options.scale).dump() << '\n';
  for (const std::string& line : trainer.describe()) std::cerr << line << '\n';
  // Every lane has buffers of the same names.
  std::map<std::string, Index> by_name;
  for (const Arena::Request& request : trainer.memory_plan())
    by_name[request.name] += request.bytes;
  for (const auto& [name, sum] : by_name) {
    std::cerr << std::setw(14) << sum << " bytes  " << name << '\n';
  }
  std::cerr << std::setw(14) << trainer.memory_bytes() << " bytes  in all, scratch included\n";
}

void print_summary(const FitRecord& record, const std::string& folder,
                   const std::vector<std::string>& files) {
  const Settings& settings = record.settings;
  const TrainingOutcome& training = record.result.training;
  std::cout << record.data.rows << " points of " << to_string(record.data.item) << " features in "
            << settings.clusters << " clusters, ";
  if (settings.restarts > 1) {
    std::cout << settings.restarts << " restarts ("
              << (settings.method == Method::kmeans ? "smallest inertia"
                  : settings.method == Method::gmm  ? "largest lower bound"
                  : settings.method == Method::dec  ? "of k-means"
                                                    : to_string(settings.select))
              << "), ";
  }
  std::cout << training.iterations << " iterations, "
            << (training.cancelled   ? "interrupted"
                : training.converged ? "converged"
                                     : "not converged")
            << ", " << std::fixed << std::setprecision(1) << training.seconds << " s\n";
  if (record.scores) print_scores(std::cout, *record.scores);
  if (record.result.kmeans) {
    std::cout << std::defaultfloat << std::setprecision(9) << "inertia "
              << record.result.kmeans->best.inertia;
  } else if (record.result.gaussians) {
    std::cout << std::defaultfloat << std::setprecision(9) << "log-likelihood "
              << record.result.prediction.log_likelihood;
  } else {
    std::cout << std::setprecision(3) << "confidence " << record.result.prediction.confidence;
  }
  std::cout << "\ncluster sizes";
  for (const Index size : cluster_sizes(record)) std::cout << ' ' << size;
  std::cout << '\n' << folder << ':';
  for (const std::string& file : files) std::cout << ' ' << file;
  std::cout << '\n';
}

int run_fit(const FitArguments& arguments) {
  const StopSignals signals;
  arguments.device.require_available();
  io::Dataset data = io::load_dataset(arguments.data.path, arguments.data.load);
  const FitOptions options = arguments.options(data);
  const Settings settings = options.settings.resolved(data.rows, data.item);
  io::require_writable_folder(arguments.out);
  const ValueRange range = value_range(data.values);

  Progress progress(settings, !arguments.quiet);
  History history(settings, data.labels);
  Index steps = 0;
  FitCallbacks callbacks;
  if (arguments.verbose && !trains_gans(settings.method)) {
    std::cerr << "settings: " << settings_json(settings, options.scale).dump() << '\n';
  } else if (arguments.verbose) {
    callbacks.started = [&](const Settings& resolved, const Trainer& trainer) {
      print_plan(options, resolved, trainer);
    };
  }
  callbacks.training.report = [&](const Report& report) {
    progress.report(report);
    history.add(report);
  };
  callbacks.embedding = [&](Index step, Index of) { progress.embedding(step, of); };
  callbacks.refreshed = [&](const DecRefresh& refresh) { history.add(refresh); };
  callbacks.training.progress = [&](Index iteration) {
    ++steps;
    progress.iteration(iteration);
  };
  callbacks.training.assignments = !data.labels.empty() || settings.select == Select::all;
  std::optional<io::NpyWriter> posteriors;
  callbacks.posteriors = [&](std::span<const float> values) {
    if (!posteriors) {
      posteriors.emplace(arguments.out + "/posteriors.npy", Shape{data.rows, settings.clusters});
    }
    posteriors->write(values);
  };
  callbacks.training.cancelled = [&] { return signals.requested(); };
  const FitResult result = fit(data, options, callbacks);
  progress.finish();
  history.add(result);

  std::optional<Scores> scores;
  if (!data.labels.empty()) scores = score(result.prediction.assignments, data.labels);
  const FitRecord record{data, options, settings, result, scores, steps};
  const auto metrics = metrics_json(record);
  const auto files = write_run_folder(arguments.out, record, metrics, history, range, *posteriors);
  if (arguments.json) {
    std::cout << to_line(metrics) << '\n';
  } else if (!arguments.quiet) {
    print_summary(record, arguments.out, files);
  }
  const std::string warning = diagnose(result);
  if (!warning.empty()) std::cerr << "ganmm: warning: " << warning << '\n';
  return signals.exit_code();
}

}  // namespace

Command add_fit(CLI::App& program) {
  CLI::App* app = program.add_subcommand("fit", "Cluster DATA into N clusters; write a run folder");
  auto arguments = std::make_shared<FitArguments>(*app);
  return [arguments] { return run_fit(*arguments); };
}

}  // namespace ganmm::tools
