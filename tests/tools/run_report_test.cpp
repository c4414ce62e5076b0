#include "tests/io/files.h"
#include "tools/history_plot.h"
#include "tools/run_report.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace ganmm::tools {
namespace {

using io::test::check_contains;

constexpr const char* kHistory =
    "iteration,seconds,restart,changed,confidence,size_0,size_1,restarted\n"
    "100,1.5,0,0.5,0.75,30,10,1 2\n"
    "100,1.5,1,0.25,0.5,20,20,\n"
    "200,3,0,0.125,0.875,25,15,\n"
    "200,3,1,nan,0.5,21,19,\n";

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

nlohmann::ordered_json metrics() {
  return {{"method", "ganmm"},
          {"device", "cpu"},
          {"seed", 3},
          {"data", "a<b>.csv"},
          {"n", 40},
          {"item", "2"},
          {"clusters", 2},
          {"restarts", 2},
          {"iterations", 200},
          {"converged", false},
          {"interrupted", false},
          {"seconds", 3.0},
          {"confidence", 0.875},
          {"sizes", {25, 15}},
          {"chosen_restart", nullptr},
          {"kept_restarts", {1}},
          {"warning", nullptr},
          {"settings", {{"scale", "maxabs"}, {"penalty", 10.0}}}};
}

TEST_CASE("history: numbers come back, blanks and lists are no numbers") {
  const HistoryTable table = read_history(kHistory);
  REQUIRE(table.columns.size() == 8);
  REQUIRE(table.rows.size() == 4);
  CHECK(table.column("changed").value() == 3);
  CHECK_FALSE(table.column("purity").has_value());
  CHECK(table.rows[2][4] == 0.875);
  CHECK(std::isnan(table.rows[0][7]));
  CHECK(std::isnan(table.rows[1][7]));
  CHECK(table.rows[3].size() == 8);
}

TEST_CASE(
    "history: a line per restart, in colour those that were kept, without what is no number") {
  const std::string plot = history_plot(read_history(kHistory), std::vector<Index>{1});
  CHECK(count_of(plot, "<polyline") == 2 + 2 + 2);  // changed, confidence; sizes of one restart
  CHECK(count_of(plot, "stroke=\"#cccccc\"") == 2);
  check_contains(plot, ">cluster sizes of restart 1</text>");
  CHECK(count_of(plot, "nan") == 0);
  CHECK(count_of(history_plot(read_history(kHistory), {}), "#cccccc") == 0);
  CHECK(history_plot(read_history("iteration,inertia\n"), {}).empty());
}

TEST_CASE("history: losses that a method does not have are left out, and so are a crowd's sizes") {
  const std::string plot =
      history_plot(read_history("iteration,classifier_loss,critic_loss\n1,0,0\n2,0,0\n"), {});
  CHECK(plot.find("classifier loss") == std::string::npos);
  check_contains(plot, ">critic loss</text>");
  for (const std::size_t clusters : {kMostClustersDrawn, kMostClustersDrawn + 1}) {
    std::string head = "iteration,changed", row = "1,0";
    for (std::size_t c = 0; c < clusters; ++c) {
      head += ",size_" + std::to_string(c);
      row += ",1";
    }
    const std::string sizes = history_plot(read_history(head + '\n' + row + '\n'), {});
    CHECK((sizes.find("cluster sizes") != std::string::npos) == (clusters == kMostClustersDrawn));
  }
}

TEST_CASE("history: long lines are thinned and keep their end") {
  std::string text = "iteration,inertia\n";
  for (int i = 1; i <= 100000; ++i) text += std::to_string(i) + ",1\n";
  const std::string plot = history_plot(read_history(text), {});
  CHECK(plot.size() < 20000);
  check_contains(plot, " 306.0,");  // the last tick of a panel from 66 to 306 pixels is 100,000
}

TEST_CASE("report: says what was done, escapes names, warns, scores only with labels") {
  nlohmann::ordered_json record = metrics();
  std::string page = run_report(record, kHistory, {});
  check_contains(page, "2 clusters of a&lt;b&gt;.csv</h1>");
  check_contains(page, "40 points of 2 features, method ganmm");
  check_contains(page, "<td class=\"name\">penalty</td><td class=\"name\">10.0</td>");
  for (const char* absent : {"class=\"warning\"", "Agreement", "<img", "a<b>"}) {
    CHECK(page.find(absent) == std::string::npos);
  }
  record["warning"] = "degenerate & so on";
  record.update({{"purity", 0.9}, {"ari", 0.25}, {"nmi", 0.5}, {"accuracy", 0.125}});
  record["per_cluster"] = {
      {{"cluster", 1}, {"size", 15}, {"majority_label", "x"}, {"purity", 0.8}}};
  record["confusion"] = {{"clusters", {1}}, {"labels", {"x", "\xff<"}}, {"counts", {{12, 3}}}};
  page = run_report(record, kHistory, {});
  check_contains(page, "degenerate &amp; so on");
  check_contains(page, "<td>0.250</td>");
  check_contains(page, "rgba(0,114,178,0.60)\">12</td>");
  check_contains(page, "\xef\xbf\xbd&lt;</th>");  // U+FFFD
}

TEST_CASE("report: the only line of k-means is part of the result, and its bars are explained") {
  nlohmann::ordered_json record = metrics();
  record["method"] = "kmeans";
  record["confidence"] = nullptr;
  record["chosen_restart"] = 3;
  record.erase("kept_restarts");
  record["per_cluster"] = nlohmann::ordered_json::array();
  const std::string page = run_report(record, "iteration,inertia\n1,9\n2,4\n", {});
  check_contains(page, "<polyline");
  CHECK(page.find("#cccccc") == std::string::npos);
  CHECK(page.find("a line is a restart") == std::string::npos);
  check_contains(page, "in the dark part those of its majority label.");
  CHECK(page.find("largest posterior") == std::string::npos);
}

TEST_CASE("report: of an interrupted run no restart is said to be part of the result") {
  nlohmann::ordered_json record = metrics();
  CHECK(count_of(run_report(record, kHistory, {}), "#cccccc") > 0);
  record["interrupted"] = true;
  const std::string page = run_report(record, kHistory, {});
  CHECK(count_of(page, "#cccccc") == 0);
  check_contains(page, "a line is a restart.");
}

TEST_CASE("report: more clusters or labels than a page holds are named, not drawn") {
  nlohmann::ordered_json record = metrics();
  record["sizes"] = std::vector<int>(kMostClustersDrawn + 1, 1);
  const std::string page = run_report(record, kHistory, {});
  check_contains(page, "not drawn");
  CHECK(page.find("<rect x=") == std::string::npos);
}

TEST_CASE("report: samples are part of the page") {
  const auto picture = [](std::string_view bytes) {
    return run_report(metrics(), kHistory, bytes);
  };
  check_contains(picture("f"), "base64,Zg==\"");  // RFC 4648, section 10
  check_contains(picture("fo"), "base64,Zm8=\"");
  check_contains(picture("foobar"), "base64,Zm9vYmFy\"");
}

}  // namespace
}  // namespace ganmm::tools
