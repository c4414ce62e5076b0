#include "tools/experiment_plot_style.h"
#include "tools/experiment_plots.h"

#include <iomanip>
#include <sstream>

namespace ganmm::tools {
namespace {

std::string three_decimals(double value) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(3) << value;
  return text.str();
}

}  // namespace

std::string cluster_plot(const ExperimentCall& call, const std::vector<ExperimentRun>& runs) {
  constexpr double kPanel = 330, kGap = 56, kHeight = 150, kBelow = 74;
  constexpr std::size_t kColumns = 2;
  std::vector<const ExperimentRun*> finished;
  Range range;
  range.include(0);
  for (const ExperimentRun& run : runs) {
    if (run.record.is_null()) continue;
    finished.push_back(&run);
    for (const auto& cluster : run.record["result"]["per_cluster"]) {
      range.include(cluster["size"].get<double>());
    }
  }
  const double left = kMargin + 40;
  const std::size_t lines = (finished.size() + kColumns - 1) / kColumns;
  Svg svg(left + kColumns * (kPanel + kGap),
          kHeader + 10 + static_cast<double>(lines) * (kHeight + kBelow));
  add_header(svg, call,
             "Points of every cluster, and in the dark part those of its majority label, "
             "which stands below");
  for (std::size_t i = 0; i < finished.size(); ++i) {
    const auto& result = finished[i]->record["result"];
    const auto& clusters = result["per_cluster"];
    const double begin = left + static_cast<double>(i % kColumns) * (kPanel + kGap);
    const double top = kHeader + 24 + static_cast<double>(i / kColumns) * (kHeight + kBelow);
    const Axis axis{ticks_of(range), top + kHeight, top};
    svg.text(begin, top - 10,
             message(finished[i]->row.title, ", seed ", finished[i]->seed, ", purity ",
                     three_decimals(result["purity"].get<double>())),
             {.size = 13, .bold = true});
    add_vertical_axis(svg, axis, begin, kPanel);
    const double step = kPanel / static_cast<double>(clusters.size());
    for (std::size_t c = 0; c < clusters.size(); ++c) {
      const auto size = clusters[c]["size"].get<double>();
      const double x = begin + step * static_cast<double>(c), base = axis.pixel(0);
      const auto bar = [&](double points, double opacity) {
        svg.rectangle(x + 0.15 * step, axis.pixel(points), 0.7 * step, base - axis.pixel(points),
                      kColours[0], opacity);
      };
      bar(size, 0.25);
      bar(size * clusters[c]["purity"].get<double>(), 1);
      svg.text(x + step / 2, base + 16, clusters[c]["majority_label"].get<std::string>(),
               {.size = 11, .anchor = Anchor::middle});
    }
  }
  return svg.str();
}

}  // namespace ganmm::tools
