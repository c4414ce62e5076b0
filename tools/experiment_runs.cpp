#include "tools/experiment_runs.h"

#include "ganmm/fit.h"
#include "ganmm/metrics.h"
#include "io/atomic_file.h"
#include "tools/environment.h"
#include "tools/metrics_json.h"
#include "tools/progress.h"
#include "tools/samples.h"
#include "tools/score_report.h"

#include <cmath>
#include <filesystem>
#include <fstream>

namespace ganmm::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr Index kSamplesPerCluster = 10;

Json identity_of(const ExperimentRun& run, const ExperimentCall& call, const ExperimentData& data) {
  return {
      {"experiment", call.experiment.name},
      {"method", run.row.name},
      {"seed", run.seed},
      {"share", run.share},
      {"scale_down", call.scale_down},
      {"data",
       {{"rows", data.set.rows}, {"item", to_string(data.set.item)}, {"checksum", data.checksum}}},
      {"version", GANMM_VERSION},
      {"backend", call.device.device().kind == DeviceKind::cpu ? "cpu" : "cuda"},
      {"math", call.device.math},
      {"clusters", run.settings.clusters},
      {"restarts", run.settings.restarts},
      {"select", to_string(run.settings.select)},
      {"settings", settings_json(run.settings, data.scale)},
  };
}

Json read_record(const std::string& path) {
  std::ifstream file(path);
  const Json record = Json::parse(file, nullptr, false);
  require<InputError>(record.contains("run") && record.contains("result"), "finished run ", path,
                      ": expected a JSON file of ganmm experiment, found something else; remove it "
                      "to run again");
  return record;
}

void require_same(const ExperimentRun& run, const Json& found) {
  if (found == run.identity) return;
  // The first difference, such as /settings/iterations.
  const std::string where = Json::diff(found, run.identity)[0]["path"].get<std::string>();
  const Json::json_pointer place(where);
  const auto value = [&](const Json& json) {
    return json.contains(place) ? to_line(json[place]) : std::string("none");
  };
  throw ConfigError(message("finished run ", run.path, ": expected ", where, " = ",
                            value(run.identity), " as in this call, found ", value(found),
                            "; use another --out, or remove the file to run again"));
}

// Rows of samples of every cluster, in the data's scaled units.
void write_samples(const ExperimentRun& run, const ExperimentCall& call, const Model& model,
                   const ValueRange& range) {
  Lanes lanes(call.device.device(), call.device.math_mode(), 1, call.device.convolution_path());
  const auto samples =
      draw_samples(model, 0, model.clusters(), kSamplesPerCluster, run.seed, lanes);
  const auto path = std::filesystem::path(call.out) / run.picture;
  write_sample_picture(path.string(), samples, model.item, kSamplesPerCluster, range);
}

}  // namespace

std::string to_string(const ExperimentRun& run, const Experiment& experiment) {
  std::string text = message(experiment.name, ' ', run.row.name, " seed ", run.seed);
  if (experiment.view == View::shares) text += message(" on ", std::lround(100 * run.share), " %");
  return text;
}

std::vector<ExperimentRun> plan_runs(const ExperimentCall& call, const ExperimentData& data) {
  const Experiment& experiment = call.experiment;
  std::vector<ExperimentRun> runs;
  for (Index seed = 0; seed < call.seeds; ++seed) {
    for (const double share : shares(experiment)) {
      for (const MethodRow& row : call.rows) {
        ExperimentRun run;
        run.row = row;
        run.seed = static_cast<std::uint64_t>(seed);
        run.share = share;
        run.settings = resolved_settings(row, experiment, run.seed, rows_of_share(data.set, share),
                                         data.set.item, call.scale_down);
        run.identity = identity_of(run, call, data);
        std::string name = message(experiment.name, '-', row.name, "-seed", seed);
        if (experiment.view == View::samples) run.picture = name + ".png";
        if (experiment.view == View::shares) name += message('-', std::lround(100 * share));
        run.path = message(call.out, "/runs/", name, ".json");
        const bool has_picture =
            run.picture.empty() ||
            std::filesystem::exists(std::filesystem::path(call.out) / run.picture);
        if (std::filesystem::exists(run.path)) {
          const Json record = read_record(run.path);
          require_same(run, record["run"]);
          if (has_picture) run.record = record;
        }
        runs.push_back(std::move(run));
      }
    }
  }
  return runs;
}

bool execute(ExperimentRun& run, const ExperimentCall& call, ExperimentData& data,
             const StopSignals& signals) {
  const bool all = run.share == 1;
  io::Dataset part;
  if (!all) part = draw_share(data.set, run.share, run.seed);
  io::Dataset& trained = all ? data.set : part;

  FitOptions options;
  options.settings = run.settings;
  options.scale = io::ScaleKind::none;  // the data are scaled
  options.device = call.device.device();
  options.math = call.device.math_mode();
  options.threads = call.device.threads;
  options.conv_path = call.device.convolution_path();
  Progress progress(run.settings, true, to_string(run, call.experiment) + "  ");
  FitCallbacks callbacks;
  callbacks.training.report = [&](const Report& report) { progress.report(report); };
  callbacks.training.progress = [&](Index iteration) { progress.iteration(iteration); };
  callbacks.embedding = [&](Index step, Index steps) { progress.embedding(step, steps); };
  callbacks.training.cancelled = [&] { return signals.requested(); };
  const FitResult result = fit(trained, options, callbacks);
  progress.finish();
  if (result.training.cancelled) return false;

  Prediction whole;
  if (!all) {
    Lanes lanes = call.device.lanes();
    whole = predict(result.model, data.set.values, data.set.rows, lanes);
  }
  const Prediction& prediction = all ? result.prediction : whole;
  Json outcome = {{"rows_trained", trained.rows},
                  {"rows_scored", data.set.rows},
                  {"iterations", result.training.iterations},
                  {"converged", result.training.converged},
                  {"seconds", result.training.seconds}};
  if (!run.picture.empty()) {
    write_samples(run, call, result.model, value_range(data.set.values));
    outcome["picture"] = run.picture;
  }
  add_scores(outcome, score(prediction.assignments, data.set.labels), data.set.label_names);
  run.record = {
      {"run", run.identity}, {"result", outcome}, {"environment", environment_json(call.device)}};
  io::write_file(run.path, to_text(run.record));
  return true;
}

}  // namespace ganmm::tools
