#include "tools/history_plot.h"

#include "tools/plot_style.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

namespace ganmm::tools {
namespace {

constexpr double kPanel = 240, kHeight = 130, kLeft = 66, kTop = 34, kBelow = 40;
constexpr std::size_t kColumns = 3;
constexpr std::size_t kMostPoints = 400;  // of a line: more than there are pixels
constexpr const char* kBehind = "#cccccc";

struct Line {
  std::vector<double> x, y;
  const char* colour;
};
struct Panel {
  std::string title;
  std::vector<Line> lines;  // the last one on top
};

bool is_size(const std::string& column) { return column.rfind("size_", 0) == 0; }

// Columns that order or name the rows, and the list of clusters that started again.
bool is_measure(const std::string& column) {
  return !is_size(column) && column != "iteration" && column != "seconds" && column != "restart" &&
         column != "restarted";
}

std::string title_of(std::string column) {
  if (column == "changed") return "share of points that changed";
  if (column == "ari" || column == "nmi") {
    for (char& c : column) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  std::replace(column.begin(), column.end(), '_', ' ');
  return column;
}

using Rows = std::vector<const std::vector<double>*>;

// The values of one column, at most kMostPoints of them and always the last.
Line line_of(const Rows& rows, std::size_t iteration, std::size_t column, const char* colour) {
  Line line{{}, {}, colour};
  const std::size_t step = (rows.size() + kMostPoints - 1) / kMostPoints;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double y = (*rows[i])[column];
    if ((i % step != 0 && i + 1 != rows.size()) || !std::isfinite(y)) continue;
    line.x.push_back((*rows[i])[iteration]);
    line.y.push_back(y);
  }
  return line;
}

void draw(Svg& svg, const Panel& panel, double left, double top) {
  Range horizontal, vertical;
  for (const double x : {0.0, 4.0}) horizontal.include(x);  // whole iterations apart
  for (const Line& line : panel.lines) {
    for (const double x : line.x) horizontal.include(x);
    for (const double y : line.y) vertical.include(y);
  }
  const Axis x_axis{ticks_of(horizontal), left, left + kPanel};
  const Axis y_axis{ticks_of(vertical), top + kHeight, top};
  svg.text(left, top - 10, panel.title, {.size = 13, .bold = true});
  add_vertical_axis(svg, y_axis, left, kPanel);
  for (std::size_t t = 0; t < x_axis.ticks.size(); ++t) {
    svg.text(x_axis.pixel(x_axis.ticks[t]), top + kHeight + 16, x_axis.label(t),
             {.size = 11, .anchor = Anchor::middle, .colour = kFaint});
  }
  for (const Line& line : panel.lines) {
    std::vector<double> x, y;
    for (const double value : line.x) x.push_back(x_axis.pixel(value));
    for (const double value : line.y) y.push_back(y_axis.pixel(value));
    if (x.size() == 1) svg.disc(x[0], y[0], 2, line.colour);
    svg.polyline(x, y, line.colour, 1.2);
  }
}

}  // namespace

std::string history_plot(const HistoryTable& history, std::span<const Index> kept) {
  const auto iteration = history.column("iteration");
  if (history.rows.empty() || !iteration) return {};
  const auto restart_column = history.column("restart");
  std::map<Index, Rows> restarts;
  for (const auto& row : history.rows) {
    restarts[restart_column ? static_cast<Index>(row[*restart_column]) : 0].push_back(&row);
  }
  const auto is_kept = [&](Index restart) {
    return kept.empty() || std::find(kept.begin(), kept.end(), restart) != kept.end();
  };
  const auto is_absent = [&](std::size_t column) {
    const std::string& name = history.columns[column];
    return (name == "classifier_loss" || name == "penalty") &&
           std::all_of(history.rows.begin(), history.rows.end(),
                       [&](const auto& row) { return row[column] == 0; });
  };
  std::vector<Panel> panels;
  for (std::size_t c = 0; c < history.columns.size(); ++c) {
    if (!is_measure(history.columns[c]) || is_absent(c)) continue;
    Panel panel{title_of(history.columns[c]), {}};
    for (const bool front : {false, true}) {
      for (const auto& [restart, rows] : restarts) {
        if (is_kept(restart) != front) continue;
        panel.lines.push_back(line_of(rows, *iteration, c, front ? kColours[0] : kBehind));
      }
    }
    panels.push_back(panel);
  }
  const auto shown = std::find_if(restarts.begin(), restarts.end(),
                                  [&](const auto& entry) { return is_kept(entry.first); });
  std::vector<std::size_t> sizes;
  for (std::size_t c = 0; c < history.columns.size(); ++c) {
    if (is_size(history.columns[c])) sizes.push_back(c);
  }
  if (!sizes.empty() && sizes.size() <= kMostClustersDrawn && shown != restarts.end()) {
    Panel panel{restarts.size() > 1 ? message("cluster sizes of restart ", shown->first)
                                    : "cluster sizes",
                {}};
    for (const std::size_t column : sizes) {
      const char* colour = kColours[panel.lines.size() % kColours.size()];
      panel.lines.push_back(line_of(shown->second, *iteration, column, colour));
    }
    panels.push_back(panel);
  }
  const std::size_t lines = (panels.size() + kColumns - 1) / kColumns;
  Svg svg(static_cast<double>(std::min(panels.size(), kColumns)) * (kLeft + kPanel) + kMargin,
          static_cast<double>(lines) * (kTop + kHeight + kBelow));
  for (std::size_t i = 0; i < panels.size(); ++i) {
    draw(svg, panels[i], static_cast<double>(i % kColumns) * (kLeft + kPanel) + kLeft,
         static_cast<double>(i / kColumns) * (kTop + kHeight + kBelow) + kTop);
  }
  return svg.str();
}

}  // namespace ganmm::tools
