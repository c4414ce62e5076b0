// ganmm experiment, as its users call it, on runs that are scaled down to nothing.
#include "tests/integration/workplace.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace ganmm {
namespace {

using test::check_contains;
using test::check_refused;
using test::check_success;
using test::Outcome;
using test::Workplace;
using Json = nlohmann::json;

const std::string kSegmentation =
    " --data " GANMM_TEST_DATA "/image-segmentation.csv --label-column last ";

std::ptrdiff_t count(const std::string& text, const std::string& part) {
  std::ptrdiff_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST_CASE("cli: an experiment reports means, spreads and the paper's numbers, and is resumed") {
  const Workplace place;
  const std::string table = "experiment table4 --out table" + kSegmentation +
                            "--methods ganmm,kmeans,gmm --scale-down 1000 --seeds ";
  const Outcome first = place.run(table + "2");
  check_success(first);
  CHECK(count(first.out, "table4 ") == 6);
  check_contains(first.out, "table4 ganmm seed 1: purity ");
  check_contains(first.out, "\ntable: table4.json table4.md table4.svg\n");
  CHECK(count(first.out, "finished before") == 0);

  const Json report = Json::parse(place.read("table/table4.json"));
  CHECK(report["scale_down"] == 1000);
  CHECK(report["complete"] == true);
  CHECK(report["data"]["rows"] == 2310);
  CHECK(report["data"]["scale"] == "maxabs");
  CHECK(report["environment"]["backend"] == "cpu");
  REQUIRE(report["runs"].size() == 6);
  CHECK(report["runs"][0]["run"]["settings"]["iterations"] == 2);
  const Json& ganmm = report["summary"][0];
  CHECK(ganmm["method"] == "ganmm");
  CHECK(ganmm["paper"]["purity"] == 0.7241);
  CHECK(report["summary"][1]["paper"].is_null());
  const double a = report["runs"][0]["result"]["purity"], b = report["runs"][3]["result"]["purity"];
  CHECK(ganmm["purity"]["mean"].get<double>() == doctest::Approx((a + b) / 2));
  CHECK(ganmm["purity"]["sd"].get<double>() == doctest::Approx(std::abs(a - b) / std::sqrt(2)));
  const std::string text = place.read("table/table4.md");
  check_contains(text, "SCALED DOWN by 1000");
  check_contains(text, "| .724 / .552 / .643 |");
  check_contains(text, "geometric");
  check_contains(place.read("table/table4.svg"), "Scaled down by 1000");

  // Again, with one run lost and one seed more.
  const std::string lost = "table/runs/table4-kmeans-seed1.json";
  const std::string before = place.read(lost);
  std::filesystem::remove(place.path(lost));
  const Outcome second = place.run(table + "3");
  check_success(second);
  CHECK(count(second.out, "finished before") == 5);
  const Json runs = Json::parse(place.read("table/table4.json"))["runs"];
  REQUIRE(runs.size() == 9);
  for (std::size_t i = 0; i < 6; ++i) {
    CAPTURE(i);
    CHECK(runs[i]["run"] == report["runs"][i]["run"]);
    if (i != 4) CHECK(runs[i] == report["runs"][i]);
  }
  CHECK(Json::parse(place.read(lost))["result"]["confusion"] ==
        Json::parse(before)["result"]["confusion"]);

  const Outcome mixed =
      place.run("experiment table4 --out table" + kSegmentation + "--methods gmm --scale-down 500");
  check_refused(mixed, 2, "table4-gmm-seed0.json: expected /scale_down = 500");
  place.write(lost, "{}");
  check_refused(place.run(table + "3"), 2, lost);
}

TEST_CASE("cli: the help of experiment names experiments and methods") {
  const Workplace place;
  const Outcome help = place.run("experiment --help");
  check_success(help);
  check_contains(help.out, "table5    Artificial Characters");
  check_contains(help.out, "Methods: ganmm, ganmm-reference, ");
  check_contains(help.out, "back-clipping");
}

TEST_CASE("cli: an experiment that is interrupted keeps what is finished") {
  const Workplace place;
  check_success(
      place.run("experiment table4 --methods kmeans --seeds 1 --out table" + kSegmentation));
  const Outcome stopped = place.shell("timeout --preserve-status -s INT 3 " GANMM_BINARY
                                      " experiment table4 --methods kmeans,ganmm --out table" +
                                      kSegmentation);
  CHECK(stopped.code == 130);
  CHECK(stopped.err.empty());
  check_contains(stopped.out, "(finished before)");
  CHECK(place.exists("table/runs/table4-kmeans-seed0.json"));
  CHECK_FALSE(place.exists("table/runs/table4-ganmm-seed0.json"));
  const Json report = Json::parse(place.read("table/table4.json"));
  CHECK(report["complete"] == false);
  CHECK(report["runs"].size() == 1);
  CHECK(report["summary"][1]["purity"].is_null());
  check_contains(place.read("table/table4.md"), "Not complete: 1 of 20 runs");
}

TEST_CASE("cli: shares of the data are trained on, the whole set is scored") {
  const Workplace place;
  check_success(
      place.run("experiment fig4 --methods kmeans,gmm --seeds 2 --out fig" + kSegmentation));
  const Json report = Json::parse(place.read("fig/fig4.json"));
  REQUIRE(report["summary"].size() == 6);
  for (const Json& run : report["runs"]) {
    const double share = run["run"]["share"];
    CHECK(run["result"]["rows_trained"] == std::lround(2310 * share));
    CHECK(run["result"]["rows_scored"] == 2310);
    CHECK(run["result"]["purity"] > 0.5);
  }
  CHECK(report["summary"][0]["paper"].is_null());            // k-means
  CHECK(report["summary"][1]["paper"]["purity"] == 0.4532);  // Gaussian mixture, all rows
  CHECK(report["summary"][5]["paper"].is_null());            // the same, 10 %
  check_contains(place.read("fig/fig4.svg"), "50 %");
  check_contains(place.read("fig/fig4.md"), "| 10 % |");

  // All of the data is what fit makes of them.
  check_success(place.run("fit " GANMM_TEST_DATA "/image-segmentation.csv --label-column last -k 7 "
                          "--method kmeans --quiet --out run"));
  CHECK(report["runs"][0]["result"]["confusion"] ==
        Json::parse(place.read("run/metrics.json"))["confusion"]);
}

TEST_CASE("cli: the ablation tells what every repair gains") {
  const Workplace place;
  check_success(place.run("experiment ablation --methods reference,penalty,back-clipping --seeds 1 "
                          "--scale-down 1000 --out ablation" +
                          kSegmentation));
  const Json rows = Json::parse(place.read("ablation/ablation.json"))["summary"];
  CHECK_FALSE(rows[0].contains("base"));
  CHECK(rows[1]["base"] == "reference");
  CHECK(rows[1]["purity_gained"]["mean"].get<double>() ==
        doctest::Approx(rows[1]["purity"]["mean"].get<double>() -
                        rows[0]["purity"]["mean"].get<double>()));
  CHECK(rows[2]["purity_gained"].is_null());  // its base did not run
  check_contains(place.read("ablation/ablation.md"), "| purity gained | over |");
}

TEST_CASE("cli: clusters and sample grids of images") {
  const Workplace place;
  std::string pixels, labels;
  for (int image = 0; image < 2000; ++image) {
    labels += static_cast<char>(image % 10);
    for (int pixel = 0; pixel < 16; ++pixel) {
      pixels += static_cast<char>(pixel == image % 10 ? 250 : (image + pixel) % 7);
    }
  }
  place.write("images.idx", io::test::idx({2000, 4, 4}, pixels));
  place.write("labels.idx", io::test::idx({2000}, labels));
  const std::string data = " --data images.idx --labels labels.idx ";

  check_success(
      place.run("experiment table2 --methods kmeans,gmm --scale-down 20 --out two" + data));
  const Json report = Json::parse(place.read("two/table2.json"));
  CHECK(report["data"]["rows"] == 100);
  CHECK(report["runs"][0]["run"]["settings"]["scale"] == "unit");
  const std::string text = place.read("two/table2.md");
  check_contains(text, "## k-means, seed 0");
  check_contains(text, "| paper's Table 2, its one run | 50000 | | .346 |");
  check_contains(text, "only the first rows");
  CHECK(count(place.read("two/table2.svg"), "<rect") > 20);

  const std::string fig = "experiment fig2 --methods ganmm --scale-down 100 --out grid" + data;
#if GANMM_HAVE_PNG
  check_success(place.run(fig));
  check_contains(place.read("grid/fig2-ganmm-seed0.png"), "PNG");
  check_contains(place.read("grid/fig2.md"), "![](fig2-ganmm-seed0.png)");
  CHECK_FALSE(place.exists("grid/fig2.svg"));
  CHECK(count(place.run(fig).out, "finished before") == 1);
  std::filesystem::remove(place.path("grid/fig2-ganmm-seed0.png"));
  CHECK(count(place.run(fig).out, "finished before") == 0);
  CHECK(place.exists("grid/fig2-ganmm-seed0.png"));
  check_refused(place.run("experiment fig2 --methods kmeans --scale-down 100 --out none" + data), 2,
                "kmeans");
#else
  check_refused(place.run(fig), 2, "GANMM_PNG");
#endif
}

TEST_CASE("cli: an experiment that cannot be done exits with 2 and leaves nothing") {
  const Workplace place;
  place.write("table.csv", "a,b\n1,2\n3,4\n5,6\n");
  struct Case {
    std::string arguments;
    std::string expected;
  };
  const std::vector<Case> cases{
      {"experiment", "NAME"},
      {"experiment table6", "table5"},
      {"experiment table1", "train-images-idx3-ubyte.gz"},
      {"experiment table4", "tests/data/image-segmentation.csv"},
      {"experiment table4 --data missing.csv", "missing.csv"},
      {"experiment table4 --data table.csv", "--label-column"},
      {"experiment table4 --data table.csv --label-column last", "7 classes, found 3"},
      {"experiment table5" + kSegmentation, "10 classes, found 7"},
      {"experiment table4 --methods dbscan" + kSegmentation, "ganmm-reference"},
      {"experiment table4 --methods gmm,kmeans,gmm" + kSegmentation, "found it again"},
      {"experiment table4 --seeds 0" + kSegmentation, "--seeds"},
      {"experiment table4 --scale-down 0" + kSegmentation, "--scale-down"},
      {"experiment table4 --backend cuda" + kSegmentation, "CUDA"},
      {"experiment table4 --out table.csv/x" + kSegmentation, "table.csv/x"},
  };
  for (const Case& bad : cases) {
    CAPTURE(bad.arguments);
    check_refused(place.run(bad.arguments), 2, bad.expected);
    CHECK(place.entries() == 1);
  }
}

}  // namespace
}  // namespace ganmm
