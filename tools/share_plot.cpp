#include "tools/experiment_plot_style.h"
#include "tools/experiment_plots.h"

#include <cmath>

namespace ganmm::tools {
namespace {

constexpr double kPanel = 190, kGap = 52, kHeight = 230, kFooter = 84;
constexpr double kLeft = kMargin + 34, kTop = kHeader + 26, kBottom = kTop + kHeight;

// A method's means against the shares: where they stand, and their standard deviation in pixels.
struct Curve {
  std::vector<double> x, y, sd;
};

void add_curve(Svg& svg, const Curve& curve, const char* colour) {
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    const double x = curve.x[i], low = curve.y[i] - curve.sd[i], high = curve.y[i] + curve.sd[i];
    svg.line(x, low, x, high, colour, 1.6);
    for (const double end : {low, high}) svg.line(x - 3, end, x + 3, end, colour, 1.6);
    svg.disc(x, curve.y[i], 3.5, colour);
  }
  svg.polyline(curve.x, curve.y, colour, 1.4);
}

void add_legend(Svg& svg, const std::vector<MethodRow>& methods) {
  double x = kLeft;
  for (std::size_t i = 0; i < methods.size(); ++i) {
    svg.disc(x + 4, kBottom + 52, 4.5, kColours[i % kColours.size()]);
    svg.text(x + 14, kBottom + 56, std::string(methods[i].title));
    x += 34 + width_of(methods[i].title);
  }
}

}  // namespace

std::string share_plot(const ExperimentCall& call, const std::vector<SummaryRow>& rows) {
  Svg svg(kLeft + kMeasures.size() * (kPanel + kGap) - kGap + kMargin, kBottom + kFooter);
  add_header(svg, call,
             "Scores of the whole set against the share that was trained on; mean of the seeds "
             "with one standard deviation to each side");
  const std::vector<double> all = shares(call.experiment);
  const double step = kPanel / static_cast<double>(all.size());
  for (std::size_t m = 0; m < kMeasures.size(); ++m) {
    Range range;
    for (const SummaryRow& row : rows) {
      if (!row.scores[m].empty()) include(range, spread_of(row.scores[m]));
    }
    const double begin = kLeft + static_cast<double>(m) * (kPanel + kGap);
    // The smallest share, the last one, on the left.
    const auto place = [&](std::size_t share) {
      return begin + step * (static_cast<double>(all.size() - 1 - share) + 0.5);
    };
    const Axis axis{ticks_of(range), kBottom, kTop};
    svg.text(begin + kPanel / 2, kTop - 12, kMeasures[m].title,
             {.size = 13, .anchor = Anchor::middle, .bold = true});
    add_vertical_axis(svg, axis, begin, kPanel);
    for (std::size_t s = 0; s < all.size(); ++s) {
      svg.text(place(s), kBottom + 18, message(std::lround(100 * all[s]), " %"),
               {.size = 11, .anchor = Anchor::middle, .colour = kFaint});
    }
    // The rows are those of the largest share, method by method, then those of the next.
    const std::size_t methods = call.rows.size();
    for (std::size_t i = 0; i < methods; ++i) {
      // Beside each other, so that the bars do not hide one another.
      const double shift = 6 * (static_cast<double>(i) - 0.5 * static_cast<double>(methods - 1));
      Curve curve;
      for (std::size_t s = 0; s < all.size(); ++s) {
        const Spread spread = spread_of(rows[s * methods + i].scores[m]);
        if (spread.count == 0) continue;
        curve.x.push_back(place(s) + shift);
        curve.y.push_back(axis.pixel(spread.mean));
        curve.sd.push_back(axis.pixel(spread.mean - spread.sd) - curve.y.back());
      }
      add_curve(svg, curve, kColours[i % kColours.size()]);
    }
  }
  add_legend(svg, call.rows);
  return svg.str();
}

}  // namespace ganmm::tools
