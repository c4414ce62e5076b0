#include "tools/score_report.h"

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

namespace ganmm::tools {
namespace {

using Json = nlohmann::ordered_json;

const std::string& name_of(std::int32_t label, const std::vector<std::string>& names) {
  return names[static_cast<std::size_t>(label)];
}

}  // namespace

void add_scores(Json& target, const Scores& scores, const std::vector<std::string>& label_names) {
  target["purity"] = scores.purity;
  target["ari"] = scores.ari;
  target["nmi"] = scores.nmi;
  target["nmi_arithmetic"] = scores.nmi_arithmetic;
  target["accuracy"] = scores.accuracy;
  Json clusters = Json::array();
  for (const ClusterScore& cluster : scores.per_cluster) {
    clusters.push_back({{"cluster", cluster.cluster},
                        {"size", cluster.size},
                        {"majority_label", name_of(cluster.majority_label, label_names)},
                        {"purity", cluster.purity}});
  }
  target["per_cluster"] = clusters;
  std::vector<std::string> labels;
  for (const std::int32_t label : scores.label_ids) labels.push_back(name_of(label, label_names));
  target["confusion"] = {
      {"clusters", scores.cluster_ids}, {"labels", labels}, {"counts", scores.confusion}};
}

void print_scores(std::ostream& out, const Scores& scores) {
  std::ostringstream line;
  line << std::fixed << std::setprecision(4) << "purity " << scores.purity << "  ARI " << scores.ari
       << "  NMI " << scores.nmi << "  ACC " << scores.accuracy << '\n';
  out << line.str();
}

void print_confusion(std::ostream& out, const Scores& scores,
                     const std::vector<std::string>& label_names) {
  constexpr std::size_t kLargest = 20;
  constexpr std::size_t kNameWidth = 12;
  const std::size_t rows = scores.cluster_ids.size(), columns = scores.label_ids.size();
  if (rows > kLargest || columns > kLargest) {
    out << "confusion table of " << rows << " clusters and " << columns << " labels: see --json\n";
    return;
  }
  std::ostringstream table;
  std::vector<int> widths;
  table << "cluster   size  purity";
  for (std::size_t c = 0; c < columns; ++c) {
    const std::string name = name_of(scores.label_ids[c], label_names).substr(0, kNameWidth);
    widths.push_back(static_cast<int>(std::max<std::size_t>(name.size(), 5)) + 2);
    table << std::setw(widths.back()) << name;
  }
  table << '\n' << std::fixed << std::setprecision(3);
  for (std::size_t r = 0; r < rows; ++r) {
    table << std::setw(7) << scores.cluster_ids[r] << std::setw(7) << scores.per_cluster[r].size
          << std::setw(8) << scores.per_cluster[r].purity;
    for (std::size_t c = 0; c < columns; ++c) {
      table << std::setw(widths[c]) << scores.confusion[r][c];
    }
    table << '\n';
  }
  out << table.str();
}

}  // namespace ganmm::tools
