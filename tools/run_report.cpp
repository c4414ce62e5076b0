#include "tools/run_report.h"

#include "tools/experiment_summary.h"
#include "tools/history_plot.h"
#include "tools/plot_style.h"

#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

namespace ganmm::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kShade = "0,114,178";  // kColours[0]
constexpr const char* kStyle =
    "body{font:14px/1.5 Helvetica,Arial,sans-serif;color:#222;max-width:980px;margin:24px auto;"
    "padding:0 16px}h1{font-size:22px;margin:0}h2{font-size:17px;margin:28px 0 8px}"
    "table{border-collapse:collapse}td,th{padding:2px 10px;text-align:right;font-weight:normal}"
    "th{color:#777}td.name{text-align:left}.note{color:#777}.scroll{overflow-x:auto}"
    ".warning{border-left:4px solid #c00000;padding:6px 12px;background:#fbeaea}"
    ".scores td{font-size:20px;padding-right:28px;text-align:left}"
    ".scores th{text-align:left}img{image-rendering:pixelated;max-width:100%}";

std::string decimals(double value, int count = 3) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(count) << value;
  return text.str();
}

// Bytes that are not UTF-8 are replaced.
std::string text_of(const Json& value) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return escaped(value.is_string() ? Json::parse(text).get<std::string>() : text);
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      word = word << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= count ? digits[word >> (18 - 6 * k) & 63u] : '=';
    }
  }
  return text;
}

void add_scores(std::ostream& page, const Json& metrics) {
  if (!metrics.contains("purity")) return;
  page << "<h2>Agreement with the labels</h2>\n<table class=\"scores\"><tr>";
  for (const Measure& measure : kMeasures) page << "<th>" << measure.title << "</th>";
  page << "</tr><tr>";
  for (const Measure& measure : kMeasures) {
    page << "<td>" << decimals(metrics.at(measure.key).get<double>()) << "</td>";
  }
  page << "</tr></table>\n<p class=\"note\">Labels were not seen in training or selection. NMI is "
          "normalised by the geometric mean of the entropies.</p>\n";
}

// A bar per cluster, in the dark part the points of its majority label.
std::string size_plot(const Json& metrics) {
  constexpr double kLeft = 66, kTop = 12, kHeight = 130, kWidth = 840;
  const auto sizes = metrics.at("sizes").get<std::vector<double>>();
  Range range;
  range.include(0);
  for (const double size : sizes) range.include(size);
  std::vector<double> dark(sizes.size(), 0.0);
  if (metrics.contains("per_cluster")) {
    for (const Json& cluster : metrics.at("per_cluster")) {
      dark.at(cluster.at("cluster").get<std::size_t>()) =
          cluster.at("size").get<double>() * cluster.at("purity").get<double>();
    }
  } else {
    dark = sizes;
  }
  Svg svg(kLeft + kWidth + kMargin, kTop + kHeight + 30);
  const Axis axis{ticks_of(range), kTop + kHeight, kTop};
  add_vertical_axis(svg, axis, kLeft, kWidth);
  const double step = kWidth / static_cast<double>(sizes.size());
  const std::size_t every = sizes.size() / 40 + 1;  // so that their numbers do not overlap
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    const double x = kLeft + step * static_cast<double>(c), base = axis.pixel(0);
    const auto bar = [&](double points, double opacity) {
      svg.rectangle(x + 0.15 * step, axis.pixel(points), 0.7 * step, base - axis.pixel(points),
                    kColours[0], opacity);
    };
    bar(sizes[c], 0.25);
    bar(dark[c], 1);
    if (c % every != 0) continue;
    svg.text(x + step / 2, base + 18, std::to_string(c), {.size = 11, .anchor = Anchor::middle});
  }
  return svg.str();
}

void add_confusion(std::ostream& page, const Json& metrics) {
  if (!metrics.contains("confusion")) return;
  const Json& confusion = metrics.at("confusion");
  if (confusion.at("labels").size() > kMostClustersDrawn) {
    page
        << "<p class=\"note\">The confusion table, too large for a page, is in metrics.json.</p>\n";
    return;
  }
  page << "<div class=\"scroll\"><table><tr><th>cluster</th><th>size</th><th>purity</th>";
  for (const Json& label : confusion.at("labels")) page << "<th>" << text_of(label) << "</th>";
  page << "</tr>\n";
  for (std::size_t c = 0; c < confusion.at("clusters").size(); ++c) {
    const Json& cluster = metrics.at("per_cluster").at(c);
    const auto size = cluster.at("size").get<double>();
    page << "<tr><td>" << text_of(cluster.at("cluster")) << "</td><td>"
         << text_of(cluster.at("size")) << "</td><td>"
         << decimals(cluster.at("purity").get<double>()) << "</td>";
    for (const Json& count : confusion.at("counts").at(c)) {
      const double share = size > 0 ? count.get<double>() / size : 0;
      page << "<td style=\"background:rgba(" << kShade << ',' << decimals(0.75 * share, 2) << ")\">"
           << (count == 0 ? "" : text_of(count)) << "</td>";
    }
    page << "</tr>\n";
  }
  page << "</table></div>\n";
}

void add_clusters(std::ostream& page, const Json& metrics) {
  page << "<h2>Clusters</h2>\n<p class=\"note\">Points per cluster"
       << (metrics.contains("per_cluster") ? ", in the dark part those of its majority label" : "")
       << '.';
  if (metrics.at("confidence").is_number()) {
    page << " The largest posterior of a point is "
         << decimals(metrics.at("confidence").get<double>()) << " on average.";
  }
  page << "</p>\n";
  if (metrics.at("sizes").size() > kMostClustersDrawn) {
    page << "<p class=\"note\">So many sizes are not drawn: metrics.json has them.</p>\n";
    return;
  }
  page << "<div class=\"scroll\">" << size_plot(metrics) << "</div>\n";
  add_confusion(page, metrics);
}

void add_course(std::ostream& page, const Json& metrics, const std::string& history) {
  const HistoryTable table = read_history(history);
  const bool restarts = table.column("restart").has_value();
  // An interrupted run may have fallen back on an earlier training than the one recorded.
  std::vector<Index> kept;
  if (restarts && !metrics.at("interrupted").get<bool>()) {
    kept = metrics.at("kept_restarts").get<std::vector<Index>>();
  }
  const std::string plot = history_plot(table, kept);
  if (plot.empty()) return;
  page << "<h2>Course of the training</h2>\n<p class=\"note\">Against the iteration"
       << (restarts ? "; a line is a restart" : "")
       << (kept.empty() ? "" : ", in colour where it is part of the result, otherwise grey")
       << ".</p>\n<div class=\"scroll\">" << plot << "</div>\n";
}

}  // namespace

std::string run_report(const Json& metrics, const std::string& history, std::string_view samples) {
  std::ostringstream page;
  const std::string title = message("ganmm: ", metrics.at("clusters").get<Index>(), " clusters of ",
                                    text_of(metrics.at("data")));
  page << "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" << title
       << "</title><style>" << kStyle << "</style></head><body>\n<h1>" << title << "</h1>\n<p>"
       << text_of(metrics.at("n")) << " points of " << text_of(metrics.at("item"))
       << " features, method " << text_of(metrics.at("method")) << ", restarts "
       << text_of(metrics.at("restarts")) << ", " << text_of(metrics.at("iterations"))
       << " iterations ("
       << (metrics.at("interrupted").get<bool>() ? "interrupted"
           : metrics.at("converged").get<bool>() ? "converged"
                                                 : "not converged")
       << "), " << decimals(metrics.at("seconds").get<double>(), 1) << " s on "
       << text_of(metrics.at("device")) << ", seed " << text_of(metrics.at("seed")) << ".</p>\n";
  if (!metrics.at("warning").is_null()) {
    page << "<p class=\"warning\">" << text_of(metrics.at("warning")) << "</p>\n";
  }
  add_scores(page, metrics);
  add_clusters(page, metrics);
  add_course(page, metrics, history);
  if (!samples.empty()) {
    page << "<h2>Samples</h2>\n<p class=\"note\">A row per cluster, drawn from the model.</p>\n"
         << "<img alt=\"samples of every cluster\" width=\"600\" src=\"data:image/png;base64,"
         << base64(samples) << "\">\n";
  }
  page << "<h2>Settings</h2>\n<table>\n";
  for (const auto& [name, value] : metrics.at("settings").items()) {
    page << "<tr><td class=\"name\">" << escaped(name) << "</td><td class=\"name\">"
         << text_of(value) << "</td></tr>\n";
  }
  page << "</table>\n</body></html>\n";
  return page.str();
}

}  // namespace ganmm::tools
