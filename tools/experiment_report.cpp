#include "tools/experiment_report.h"

#include "io/atomic_file.h"
#include "tools/environment.h"
#include "tools/experiment_plots.h"
#include "tools/experiment_summary.h"
#include "tools/metrics_json.h"

#include <filesystem>

namespace ganmm::tools {
namespace {

using Json = nlohmann::ordered_json;

Json spread_json(std::span<const double> values) {
  const Spread spread = spread_of(values);
  if (spread.count == 0) return {};
  return {{"mean", spread.mean}, {"sd", spread.count > 1 ? Json(spread.sd) : Json()}};
}

Json paper_json(const PaperScores* paper) {
  if (paper == nullptr) return {};
  return {{"purity", paper->purity}, {"ari", paper->ari}, {"nmi", paper->nmi}};
}

Json summary_json(const std::vector<SummaryRow>& rows) {
  Json all = Json::array();
  for (const SummaryRow& row : rows) {
    Json json = {{"method", row.row.name},
                 {"title", row.row.title},
                 {"share", row.share},
                 {"runs", row.seconds.size()}};
    for (std::size_t m = 0; m < kMeasures.size(); ++m) {
      json[kMeasures[m].key] = spread_json(row.scores[m]);
    }
    json["seconds"] = spread_json(row.seconds);
    if (!row.row.base.empty()) {
      json["base"] = row.row.base;
      json["purity_gained"] = spread_json(row.gain);
    }
    json["paper"] = paper_json(row.paper);
    all.push_back(json);
  }
  return all;
}

Json experiment_json(const ExperimentCall& call, const ExperimentData& data,
                     const std::vector<ExperimentRun>& runs) {
  Json records = Json::array();
  for (const ExperimentRun& run : runs) {
    if (!run.record.is_null()) records.push_back(run.record);
  }
  return {{"experiment", call.experiment.name},
          {"title", call.experiment.title},
          {"scale_down", call.scale_down},
          {"complete", records.size() == runs.size()},
          {"protocol", protocol(call, data)},
          {"data",
           {{"source", data.set.source},
            {"rows", data.set.rows},
            {"item", to_string(data.set.item)},
            {"classes", data.set.label_names.size()},
            {"scale", io::to_string(data.scale)},
            {"checksum", data.checksum}}},
          {"seeds", call.seeds},
          {"environment", environment_json(call.device)},
          {"math", call.device.math},
          {"summary", summary_json(summarise(call.experiment, runs))},
          {"runs", records}};
}

std::string plot(const ExperimentCall& call, const std::vector<ExperimentRun>& runs) {
  if (call.experiment.view == View::clusters) return cluster_plot(call, runs);
  const std::vector<SummaryRow> rows = summarise(call.experiment, runs);
  return call.experiment.view == View::shares ? share_plot(call, rows) : score_plot(call, rows);
}

}  // namespace

std::vector<std::string> write_report(const ExperimentCall& call, const ExperimentData& data,
                                      const std::vector<ExperimentRun>& runs) {
  std::vector<std::string> names;
  const auto write = [&](const char* ending, const std::string& text) {
    names.push_back(std::string(call.experiment.name) + ending);
    io::write_file((std::filesystem::path(call.out) / names.back()).string(), text);
  };
  write(".json", to_text(experiment_json(call, data, runs)));
  write(".md", experiment_markdown(call, data, runs));
  if (call.experiment.view != View::samples) write(".svg", plot(call, runs));
  return names;
}

}  // namespace ganmm::tools
