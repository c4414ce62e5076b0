#include "tools/environment.h"
#include "tools/experiment_report.h"
#include "tools/experiment_summary.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iomanip>
#include <sstream>

namespace ganmm::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNone = "–";

// ".724", as the paper's tables and docs/results.md have it.
std::string decimals(double value, bool with_sign = false) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(3) << (with_sign ? std::showpos : std::noshowpos)
       << value;
  std::string plain = text.str();
  const std::size_t zero = plain.find("0.");
  if (zero != std::string::npos && zero <= 1 && (zero == 0 || !std::isdigit(plain[0]))) {
    plain.erase(zero, 1);
  }
  return plain;
}

std::string cell(std::span<const double> values, bool with_sign = false) {
  const Spread spread = spread_of(values);
  if (spread.count == 0) return kNone;
  const std::string mean = decimals(spread.mean, with_sign);
  return spread.count == 1 ? mean : mean + " ± " + decimals(spread.sd);
}

std::string seconds_cell(std::span<const double> values) {
  const Spread spread = spread_of(values);
  if (spread.count == 0) return kNone;
  std::ostringstream text;
  text << std::fixed << std::setprecision(spread.mean < 10 ? 2 : 1) << spread.mean;
  if (spread.count > 1) text << " ± " << spread.sd;
  return text.str();
}

std::string paper_cell(const PaperScores* paper) {
  if (paper == nullptr) return kNone;
  std::string text;
  for (const Measure& measure : kMeasures) {
    if (measure.paper == nullptr) continue;
    text += (text.empty() ? "" : " / ") + decimals(paper->*measure.paper);
  }
  return text;
}

void add_score_table(std::ostream& out, const Experiment& experiment,
                     const std::vector<SummaryRow>& rows) {
  const bool by_share = experiment.view == View::shares;
  const bool compared = std::any_of(rows.begin(), rows.end(),
                                    [](const SummaryRow& row) { return !row.row.base.empty(); });
  out << "| method |" << (by_share ? " trained on |" : "");
  for (const Measure& measure : kMeasures) out << ' ' << measure.title << " |";
  out << " seconds | runs |" << (compared ? " purity gained | over |" : "") << " paper, "
      << experiment.paper << ": purity / ARI / NMI |\n|";
  const std::size_t columns = 4 + kMeasures.size() + (by_share ? 1 : 0) + (compared ? 2 : 0);
  for (std::size_t column = 0; column < columns; ++column) out << " --- |";
  out << '\n';
  for (const SummaryRow& row : rows) {
    out << "| " << row.row.title << " (`" << row.row.name << "`) |";
    if (by_share) out << ' ' << std::lround(100 * row.share) << " % |";
    for (const auto& values : row.scores) out << ' ' << cell(values) << " |";
    out << ' ' << seconds_cell(row.seconds) << " | " << row.seconds.size() << " |";
    if (compared) {
      out << ' ' << cell(row.gain, true) << " | "
          << (row.row.base.empty() ? kNone : message('`', row.row.base, '`')) << " |";
    }
    out << ' ' << paper_cell(row.paper) << " |\n";
  }
}

void add_cluster_tables(std::ostream& out, const std::vector<ExperimentRun>& runs) {
  for (const ExperimentRun& run : runs) {
    if (run.record.is_null()) continue;
    const Json& result = run.record["result"];
    out << "\n## " << run.row.title << ", seed " << run.seed
        << "\n\n| cluster | size | majority label | purity |\n| --- | --- | --- | --- |\n";
    for (const Json& cluster : result["per_cluster"]) {
      out << "| " << cluster["cluster"].get<Index>() << " | " << cluster["size"].get<Index>()
          << " | " << cluster["majority_label"].get<std::string>() << " | "
          << decimals(cluster["purity"].get<double>()) << " |\n";
    }
    out << "| all | " << result["rows_scored"].get<Index>() << " | | "
        << decimals(result["purity"].get<double>()) << " |\n";
    if (const PaperRun* paper = paper_run(run.row.paper)) {
      out << "| paper's Table 2, its one run | " << paper->points << " | | "
          << decimals(paper->purity) << " |\n";
    }
  }
}

}  // namespace

std::vector<std::string> protocol(const ExperimentCall& call, const ExperimentData& data) {
  std::vector<std::string> lines;
  const Experiment& experiment = call.experiment;
  if (call.scale_down > 1) {
    lines.push_back(
        message("Scaled down by ", call.scale_down,
                ": iterations, pre-training and the sigma schedule are "
                "divided by it",
                data.set.item.rank() == 3 ? ", and only the first rows of the file are taken" : "",
                ". This shows that the experiment runs; it is no result."));
  }
  lines.push_back(message("Scored: all ", data.set.rows, " rows of ", data.set.source,
                          ", as the trained model's "
                          "predict assigns them",
                          experiment.view == View::shares
                              ? "; it was trained on a random share of them, drawn with the seed"
                              : "; it was trained on the same rows",
                          ". Labels are used for scoring alone."));
  lines.push_back(message("Features: scale ", io::to_string(data.scale),
                          ", statistics of all rows; ", experiment.clusters, " clusters."));
  lines.push_back("Purity counts the majority label of every cluster, ACC the best one-to-one map; "
                  "NMI has the geometric norm; ARI is the adjusted Rand index. JSON also has NMI "
                  "with the arithmetic norm.");
  lines.push_back(message(
      call.seeds > 1 ? message("Mean ± sample standard deviation over seeds 0 to ", call.seeds - 1)
                     : std::string("One seed, 0"),
      "; seconds are those of training."));
  if (experiment.name != "ablation") {
    lines.push_back("Settings: the defaults of ganmm fit; a Gaussian mixture's regularization is "
                    "1e-3, ganmm-reference is --compat reference with the published nets.");
  } else {
    lines.push_back(
        "Purity gained is the mean over seeds of the difference to the row named behind "
        "it, with the same seed.");
  }
  return lines;
}

std::string experiment_markdown(const ExperimentCall& call, const ExperimentData& data,
                                const std::vector<ExperimentRun>& runs) {
  const Experiment& experiment = call.experiment;
  std::ostringstream out;
  out << "# " << experiment.name << ": " << experiment.title;
  if (call.scale_down > 1) out << " (SCALED DOWN by " << call.scale_down << ", no result)";
  out << "\n\n";
  const auto finished = std::count_if(
      runs.begin(), runs.end(), [](const ExperimentRun& run) { return !run.record.is_null(); });
  if (finished < static_cast<std::ptrdiff_t>(runs.size())) {
    out << "**Not complete: " << finished << " of " << runs.size() << " runs.**\n\n";
  }
  add_score_table(out, experiment, summarise(experiment, runs));
  if (experiment.view == View::clusters) add_cluster_tables(out, runs);
  if (experiment.view == View::samples) {
    for (const ExperimentRun& run : runs) {
      if (run.record.is_null()) continue;
      out << "\n## " << run.row.title << ", seed " << run.seed << ", a row per cluster\n\n![]("
          << run.picture << ")\n";
    }
  } else {
    out << "\n![](" << experiment.name << ".svg)\n";
  }
  out << '\n';
  for (const std::string& line : protocol(call, data)) out << "- " << line << '\n';
  out << "- Paper: Y. Yu and W.-J. Zhou, \"Mixture of GANs for Clustering\", IJCAI 2018; it has "
         "no k-means and no ACC.\n";
  const Json environment = environment_json(call.device);
  out << "- ganmm " << environment["version"].get<std::string>();
  if (environment["commit"].is_string()) {
    out << " (" << environment["commit"].get<std::string>() << ')';
  }
  const Json& device = environment[environment.contains("gpu") ? "gpu" : "cpu"];
  out << ", " << environment["backend"].get<std::string>() << " (" << device.get<std::string>()
      << "), " << call.device.math << ", " << environment["threads"].get<int>() << " threads, "
      << environment["date"].get<std::string>() << ".\n";
  return out.str();
}

}  // namespace ganmm::tools
