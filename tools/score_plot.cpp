#include "tools/experiment_plot_style.h"
#include "tools/experiment_plots.h"

namespace ganmm::tools {
namespace {

// Mean with one standard deviation to each side, along the x axis.
void add_error_bar(Svg& svg, const Axis& axis, const Spread& spread, double y, const char* colour) {
  const double low = axis.pixel(spread.mean - spread.sd),
               high = axis.pixel(spread.mean + spread.sd);
  if (spread.count > 1) {
    svg.line(low, y, high, y, colour, 2);
    for (const double end : {low, high}) svg.line(end, y - 4, end, y + 4, colour, 2);
  }
  svg.disc(axis.pixel(spread.mean), y, 4.5, colour);
}

}  // namespace

std::string score_plot(const ExperimentCall& call, const std::vector<SummaryRow>& rows) {
  constexpr double kPanel = 180, kGap = 40, kRow = 32, kFooter = 64, kPanelTitle = 26;
  double labels = 0;
  for (const SummaryRow& row : rows) labels = std::max(labels, width_of(row.row.title));
  const double left = kMargin + labels + 12;
  const double top = kHeader + kPanelTitle;
  const double bottom = top + kRow * static_cast<double>(rows.size());
  Svg svg(left + kMeasures.size() * (kPanel + kGap), bottom + kFooter);
  add_header(svg, call, "Mean of the seeds with one standard deviation to each side");
  const auto middle = [&](std::size_t row) {
    return top + kRow * (static_cast<double>(row) + 0.5);
  };
  for (std::size_t r = 0; r < rows.size(); ++r) {
    svg.text(left - 12, middle(r) + 4, std::string(rows[r].row.title), {.anchor = Anchor::end});
  }
  bool with_paper = false;
  for (std::size_t m = 0; m < kMeasures.size(); ++m) {
    const Measure& measure = kMeasures[m];
    Range range;
    for (const SummaryRow& row : rows) {
      for (const double value : row.scores[m]) range.include(value);
      if (!row.scores[m].empty()) include(range, spread_of(row.scores[m]));
      if (row.paper != nullptr && measure.paper != nullptr)
        range.include(row.paper->*measure.paper);
    }
    const double begin = left + static_cast<double>(m) * (kPanel + kGap);
    const Axis axis{ticks_of(range), begin, begin + kPanel};
    svg.text(begin + kPanel / 2, top - 12, measure.title,
             {.size = 13, .anchor = Anchor::middle, .bold = true});
    for (std::size_t t = 0; t < axis.ticks.size(); ++t) {
      const double x = axis.pixel(axis.ticks[t]);
      svg.line(x, top, x, bottom, kGrid);
      svg.text(x, bottom + 16, axis.label(t),
               {.size = 11, .anchor = Anchor::middle, .colour = kFaint});
    }
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const auto& values = rows[r].scores[m];
      // The seeds below their mean, so that neither hides the other.
      for (const double value : values) {
        svg.disc(axis.pixel(value), middle(r) + 9, 2.2, kFaint, 0.5);
      }
      if (!values.empty()) add_error_bar(svg, axis, spread_of(values), middle(r), kColours[0]);
      if (rows[r].paper == nullptr || measure.paper == nullptr) continue;
      with_paper = true;
      svg.diamond(axis.pixel(rows[r].paper->*measure.paper), middle(r), 5, kPaper);
    }
  }
  const double y = bottom + 44;
  svg.disc(left + 5, y - 4, 4.5, kColours[0]);
  svg.text(left + 16, y, "mean ± sd");
  svg.disc(left + 105, y - 4, 2.2, kFaint, 0.5);
  svg.text(left + 116, y, "one seed");
  if (with_paper) {
    svg.diamond(left + 205, y - 4, 5, kPaper);
    svg.text(left + 216, y, "paper");
  }
  return svg.str();
}

}  // namespace ganmm::tools
