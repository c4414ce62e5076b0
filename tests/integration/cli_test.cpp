// The program itself, as its users call it: exit codes, what goes to which stream, which files
// appear.
#include "kernels/core/device.h"
#include "tests/integration/workplace.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

namespace ganmm {
namespace {

using io::test::bytes_of;
using io::test::check_contains;
using test::check_refused;
using test::check_success;
using test::Outcome;
using test::Workplace;

struct Points {
  std::string values;  // .npy, f4
  std::string labels;  // .npy, i4
};

// Three blobs, `rows` points in `features` dimensions.
Points blobs(int rows, int features) {
  std::mt19937 random(7);
  std::string values, labels;
  for (int row = 0; row < rows; ++row) {
    const int blob = row % 3;
    labels += bytes_of(static_cast<std::int32_t>(blob));
    for (int feature = 0; feature < features; ++feature) {
      const float centre = feature % 3 == blob ? 5.0f : 0.0f;
      values += bytes_of(centre + static_cast<float>(random() % 1000) / 1000.0f);
    }
  }
  const std::string n = std::to_string(rows);
  return {io::test::npy("<f4", "(" + n + ", " + std::to_string(features) + ")", values),
          io::test::npy("<i4", "(" + n + ",)", labels)};
}

// `rows` images of side x side pixels: a bright upper or a bright left half, with noise.
std::string halves(int rows, int side) {
  std::mt19937 random(11);
  std::string pixels;
  for (int image = 0; image < rows; ++image) {
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        const bool bright = 2 * (image % 2 == 0 ? y : x) < side;
        pixels += static_cast<char>((bright ? 180 : 0) + static_cast<int>(random() % 60));
      }
    }
  }
  return pixels;
}

constexpr const char* kShort = " --iterations 20 --pretrain 5 --restarts 2 ";

TEST_CASE("cli: bad input exits with 2, one line on stderr, nothing on stdout, no folder") {
  const Workplace place;
  const Points points = blobs(12, 2);
  place.write("good.npy", points.values);
  place.write("empty.csv", "");
  place.write("ragged.csv", "a,b\n1,2\n3,4\n5\n");
  place.write("text.csv", "a,b\n1,2\n3,x4\n");
  place.write("nan.csv", "a,b\n1,2\nnan,4\n");
  place.write("table.csv", "a,b\n1,2\n3,4\n5,6\n");
  place.write("short.npy", points.values.substr(0, points.values.size() - 4));
  place.write("huge.npy", io::test::npy("<f4", "(4611686018427387904, 16)", "1234"));
  place.write("short.idx", io::test::idx({3, 16, 16}, std::string(3 * 256 - 1, 'x')));
  place.write("images.npy", io::test::npy("|u1", "(40, 8, 8)", halves(40, 8)));
  place.write("many.npy", blobs(300, 2).values);
  place.write("labels.csv", "0\n1\n");
  place.write("initial.csv", "0\n1\n2\n");
  place.write("bad.ini", "clusters=2\nbogus=1\n");
  place.write("model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\x7f{}");

  struct Case {
    std::string arguments;
    std::string expected;
  };
  std::vector<Case> cases{
      {"fit missing.npy -k 2", "missing.npy"},
      {"fit empty.csv -k 2", "empty.csv"},
      {"fit ragged.csv -k 2", "ragged.csv: line 4"},
      {"fit text.csv -k 2", "text.csv: line 3, column 2"},
      {"fit nan.csv -k 2", "nan.csv: line 3, column 1"},
      {"fit table.csv -k 2 --label-column c", "'c'"},
      {"fit good.npy -k 0", "found 0"},
      {"fit good.npy -k 2 --conv-path fastest", "--conv-path"},
      {"fit good.npy -k 13", "found 13"},
      {"fit good.npy -k 9223372036854775807", "found 9223372036854775807"},
      {"fit good.npy -k two", "two"},
      {"fit many.npy -k 300 --restarts 4096", "--select confidence"},
      {"fit good.npy", "--clusters"},
      {"fit short.npy -k 2", "short.npy"},
      {"fit huge.npy -k 2", "huge.npy"},
      {"fit short.idx -k 2", "short.idx"},
      {"fit good.npy -k 2 --labels labels.csv", "labels.csv"},
      {"fit good.npy -k 2 --init labels.csv", "labels.csv"},
      {"fit table.csv -k 2 --init initial.csv", "found 2 for row 3"},
      {"fit good.npy -k 2 --net conv", "conv"},
      {"fit good.npy -k 2 --net bogus", "bogus"},
      {"fit good.npy -k 2 --net small --hidden 32", "--net mlp --hidden 32"},
      {"fit images.npy -k 2 --net conv --scale maxabs", "--scale minmax"},
      {"fit images.npy -k 2 --net conv --scale standard", "found 0 to 239"},
      {"fit images.npy -k 2 --net conv --scale none", "found 0 to 239"},
      {"fit good.npy -k 2 --scale bogus", "bogus"},
      {"fit good.npy -k 2 --sigma 0.5:x", "sigma"},
      {"fit good.npy -k 2 --sigma 0.5,0.2", "sigma"},
      {"fit good.npy -k 2 --math bf16", "bf16"},
      {"predict model.safetensors good.npy --math bf16", "bf16"},
      {"sample model.safetensors --math bf16", "bf16"},
      {"fit good.npy -k 2 --backend cuda", "CUDA"},
      {"predict model.safetensors good.npy --backend cuda", "CUDA"},
      {"sample model.safetensors --backend cuda", "CUDA"},
      {"fit good.npy -k 2 --tolerance nan", "tolerance"},
      {"fit good.npy -k 2 --bogus", "--bogus"},
      {"fit good.npy -k 2 --config bad.ini", "bogus"},
      {"fit good.npy -k 2 --config missing.ini", "missing.ini"},
      {"fit good.npy -k 2 --out good.npy/run", "good.npy/run"},
      {"predict model.safetensors good.npy", "model.safetensors"},
      {"sample missing.safetensors", "missing.safetensors"},
      {"score labels.csv initial.csv", "found"},
      {"fit good.npy -k 2 --method bogus", "ganmm, ganmm-em, kmeans, gmm"},
      {"fit good.npy -k 13 --method kmeans", "found 13"},
      {"fit good.npy -k 2 --method kmeans --sigma 0.1", "--sigma"},
      {"fit good.npy -k 2 --method kmeans --init kmeans", "--init"},
      {"fit good.npy -k 2 --method kmeans --hidden 8", "--hidden"},
      {"fit good.npy -k 2 --method kmeans --tolerance -1", "tolerance"},
      {"fit good.npy -k 2 --method kmeans --covariance full", "--covariance"},
      {"fit good.npy -k 2 --method kmeans --regularization 0.1", "--regularization"},
      {"fit good.npy -k 2 --method gmm --covariance round", "spherical"},
      {"fit good.npy -k 2 --method gmm --regularization -1", "regularization"},
      {"fit good.npy -k 13 --method gmm", "found 13"},
      {"fit good.npy -k 2 --critic-score raw", "--method ganmm-em alone"},
      {"fit good.npy -k 2 --method kmeans --pretrain 3", "--method ganmm or ganmm-em alone"},
      {"fit good.npy -k 2 --method ganmm-em --critic-score bogus", "standardized"},
      {"fit good.npy -k 2 --method ganmm-em --sigma 0.1", "sigma: expected 0"},
      {"fit good.npy -k 2 --method ganmm-em --temperature 2", "--temperature"},
      {"fit good.npy -k 2 --method ganmm-em --classifier-steps 2", "--classifier-steps"},
      {"fit good.npy -k 2 --method ganmm-em --compat reference", "--compat"},
      {"fit good.npy -k 2 --method ganmm-em --covariance full", "--covariance"},
      {"fit images.npy -k 2 --method ganmm-em --objective wgan-clip --scale minmax", "batch norm"},
      {"fit good.npy -k 13 --method dec", "found 13"},
      {"fit good.npy -k 2 --method dec --encoder 8,x", "--encoder 8,16"},
      {"fit good.npy -k 2 --method dec --encoder 8,0", "units"},
      {"fit good.npy -k 2 --method dec --codes 0", "codes"},
      {"fit good.npy -k 2 --method dec --corruption -1", "corruption"},
      {"fit good.npy -k 2 --method dec --refresh -1", "refresh"},
      {"fit good.npy -k 2 --method dec --learning-rate -1", "learning rate"},
      {"fit good.npy -k 2 --method dec --pretrain 5", "--pretrain"},
      {"fit good.npy -k 2 --method dec --init kmeans", "--init"},
      {"fit good.npy -k 2 --method kmeans --batch 5", "ganmm or ganmm-em or dec alone"},
      {"fit good.npy -k 2 --codes 5", "--net codes or --method dec, found net mlp"},
      {"fit images.npy -k 2 --net mlp --warp 1", "--warp"},
      {"fit good.npy -k 2 --method dec --refine 5", "--refine"},
      {"fit images.npy -k 2 --refine -1", "refine: expected 0"},
      {"fit images.npy -k 2 --warp -1", "warp: expected 0 to 10"},
      {"fit good.npy -k 2 --method kmeans --epochs 5", "--epochs"},
      {"embed good.npy", "--out"},
      {"embed missing.npy --out codes.npy", "missing.npy"},
      {"embed good.npy --out codes.npy --codes 0", "codes"},
      {"embed good.npy --out codes.npy --encoder 8,x", "--encoder"},
      {"embed good.npy --out codes.npy --epochs -1", "epochs"},
      {"embed good.npy --out codes.npy --batch 0", "batch"},
      {"embed good.npy --out codes.npy --learning-rate 0", "learning rate"},
      {"embed good.npy --out codes.npy --scale bogus", "bogus"},
      {"embed good.npy --out codes.npy --backend cuda", "CUDA"},
      {"embed good.npy --out good.npy/codes.npy", "good.npy"},
      {"bogus", "bogus"},
      {"", "fit, embed, predict"},
  };
#if GANMM_HAVE_ZLIB
  const std::string packed = io::test::gzip_stored("a,b\n1,2\n3,4\n5,6\n");
  place.write("cut.csv.gz", packed.substr(0, packed.size() - 6));
  cases.push_back({"fit cut.csv.gz -k 2", "cut.csv.gz"});
#endif
  const std::size_t before = place.entries();
  for (const Case& bad : cases) {
    CAPTURE(bad.arguments);
    check_refused(place.run(bad.arguments), 2, bad.expected);
    CHECK(place.entries() == before);
  }
}

TEST_CASE("cli: fit, predict, score and sample agree on the same data") {
  const Workplace place;
  const Points points = blobs(200, 2);
  place.write("points.npy", points.values);
  place.write("labels.npy", points.labels);

  const Outcome fitted =
      place.run(std::string("fit points.npy -k 3 --labels labels.npy --json --out run") + kShort);
  check_success(fitted);
  const auto metrics = nlohmann::json::parse(fitted.out);
  CHECK(std::count(fitted.out.begin(), fitted.out.end(), '\n') == 1);
  CHECK(metrics == nlohmann::json::parse(place.read("run/metrics.json")));
  for (const std::string key : {"method",
                                "backend",
                                "device",
                                "math",
                                "seed",
                                "n",
                                "features",
                                "clusters",
                                "restarts",
                                "iterations",
                                "converged",
                                "seconds",
                                "samples_per_second",
                                "confidence",
                                "purity",
                                "ari",
                                "nmi",
                                "nmi_arithmetic",
                                "accuracy",
                                "per_cluster"}) {
    CAPTURE(key);
    CHECK(metrics.contains(key));
  }
  CHECK(metrics["n"] == 200);
  CHECK(metrics["features"] == 2);
  CHECK(metrics["clusters"] == 3);
  CHECK(metrics["restarts"] == 2);
  CHECK(metrics["iterations"] == 10 + 20);  // of either kind of restart
  CHECK(metrics["settings"]["scale"] == "maxabs");
  // 15 and 25 iterations of 3 critics each, 5 steps of 50 rows.
  CHECK(metrics["samples_per_second"].get<double>() * metrics["seconds"].get<double>() ==
        doctest::Approx((15 + 25) * 3 * 250));
  check_contains(place.read("run/posteriors.npy"), "(200, 3)");
  const std::string history = place.read("run/history.csv");
  CHECK(std::count(history.begin(), history.end(), '\n') == 1 + 2);
  check_contains(history, ",size_2,restarted,purity,ari,nmi\n10,");
  CHECK_FALSE(place.exists("run/samples.png"));
  CHECK_FALSE(place.exists("run/assignments-all.npy"));
  const std::string report = place.read("run/report.html");
  check_contains(report, "3 clusters of points.npy");
  check_contains(report, ">cluster sizes of restart 0</text>");
  CHECK(report.find("data:image/png") == std::string::npos);

  const Outcome predicted =
      place.run("predict run/model.safetensors points.npy --labels labels.npy --json --out again");
  check_success(predicted);
  CHECK(place.read("again/assignments.npy") == place.read("run/assignments.npy"));
  CHECK(place.read("again/posteriors.npy") == place.read("run/posteriors.npy"));
  const auto prediction = nlohmann::json::parse(predicted.out);
  CHECK(prediction["n"] == 200);
  CHECK(prediction["confidence"] == metrics["confidence"]);

  const Outcome scored = place.run("score run/assignments.npy labels.npy --json");
  check_success(scored);
  const auto scores = nlohmann::json::parse(scored.out);
  for (const std::string key :
       {"purity", "ari", "nmi", "nmi_arithmetic", "accuracy", "per_cluster", "confusion"}) {
    CAPTURE(key);
    CHECK(scores[key] == metrics[key]);
    CHECK(prediction[key] == metrics[key]);
  }
  const Outcome table = place.run("score run/assignments.npy labels.npy");
  check_success(table);
  check_contains(table.out, "purity ");
  check_contains(table.out, "\ncluster ");

  check_success(place.run("sample run/model.safetensors --count 4 --out samples"));
  check_contains(place.read("samples/samples.npy"), "(12, 2)");
  CHECK_FALSE(place.exists("samples/samples.png"));
  check_success(place.run("sample run/model.safetensors --count 4 --cluster 2 --out one"));
  // The last four rows of all clusters' samples are those of the last cluster.
  const std::string all = place.read("samples/samples.npy"), one = place.read("one/samples.npy");
  const std::size_t bytes = 4 * 2 * sizeof(float);
  CHECK(all.substr(all.size() - bytes) == one.substr(one.size() - bytes));

  place.write("wide.npy", blobs(12, 3).values);
  const Outcome other = place.run("predict run/model.safetensors wide.npy --out other");
  check_refused(other, 2, "expected rows of 2 features, found 3");
  CHECK_FALSE(place.exists("other"));
}

TEST_CASE("cli: k-means writes a run folder that predict reads") {
  const Workplace place;
  const Points points = blobs(200, 2);
  place.write("points.npy", points.values);
  place.write("labels.npy", points.labels);
  const Outcome fitted =
      place.run("fit points.npy -k 3 --method kmeans --labels labels.npy --json --out run");
  check_success(fitted);
  const auto metrics = nlohmann::json::parse(fitted.out);
  CHECK(metrics == nlohmann::json::parse(place.read("run/metrics.json")));
  CHECK(metrics["method"] == "kmeans");
  CHECK(metrics["restarts"] == 10);
  CHECK(metrics["confidence"].is_null());
  CHECK(metrics["ari"] == 1.0);
  CHECK(metrics["converged"] == true);
  CHECK(metrics["restart_inertia"].size() == 10);
  CHECK(metrics["inertia"] == metrics["restart_inertia"][metrics["chosen_restart"].get<size_t>()]);
  CHECK(metrics["settings"]["tolerance"] == 1e-4);
  CHECK_FALSE(metrics["settings"].contains("sigma"));
  const std::string history = place.read("run/history.csv");
  check_contains(history, "iteration,inertia\n1,");
  CHECK(std::count(history.begin(), history.end(), '\n') ==
        1 + metrics["iterations"].get<std::ptrdiff_t>());
  check_contains(place.read("run/posteriors.npy"), "(200, 3)");

  check_success(place.run("predict run/model.safetensors points.npy --out again"));
  CHECK(place.read("again/assignments.npy") == place.read("run/assignments.npy"));
  check_refused(place.run("sample run/model.safetensors --out none"), 2, "kmeans");
  CHECK_FALSE(place.exists("none"));

  place.write("images.npy", io::test::npy("|u1", "(40, 8, 8)", halves(40, 8)));
  check_success(place.run("fit images.npy -k 2 --method kmeans --json --out images"));
  CHECK_FALSE(place.exists("images/samples.png"));
}

TEST_CASE("cli: a Gaussian mixture writes a run folder that predict and sample read") {
  const Workplace place;
  const Points points = blobs(200, 2);
  place.write("points.npy", points.values);
  place.write("labels.npy", points.labels);
  const Outcome fitted = place.run(
      "fit points.npy -k 3 --method gmm --covariance diag --restarts 3 --labels labels.npy --json "
      "--out run");
  check_success(fitted);
  const auto metrics = nlohmann::json::parse(fitted.out);
  CHECK(metrics["method"] == "gmm");
  CHECK(metrics["ari"] == 1.0);
  CHECK(metrics["restart_lower_bound"].size() == 3);
  CHECK(metrics["settings"]["covariance"] == "diag");
  CHECK(metrics["settings"]["regularization"] == 1e-6);
  const double likelihood = metrics["log_likelihood"].get<double>();
  CHECK(likelihood / 200 >= metrics["lower_bound"].get<double>() - 1e-9);
  CHECK(metrics["bic"].get<double>() == doctest::Approx(14 * std::log(200.0) - 2 * likelihood));
  CHECK(metrics["aic"].get<double>() == doctest::Approx(14 * 2 - 2 * likelihood));
  CHECK(metrics["confidence"].get<double>() > 0.9);
  const std::string history = place.read("run/history.csv");
  check_contains(history, "iteration,lower_bound\n1,");
  check_success(place.run("predict run/model.safetensors points.npy --out again"));
  CHECK(place.read("again/posteriors.npy") == place.read("run/posteriors.npy"));
  check_success(place.run("sample run/model.safetensors --count 4 --out samples"));
  check_contains(place.read("samples/samples.npy"), "(12, 2)");

  place.write("table.csv", "a,b\n1,2\n3,4\n5,6\n");
  check_refused(place.run("fit table.csv -k 3 --method gmm --regularization 0 --out none"), 1,
                "--regularization");
}

TEST_CASE("cli: ganmm-em has ganmm's files, and a choice of the score that decides") {
  const Workplace place;
  place.write("points.npy", blobs(200, 2).values);
  for (const std::string score : {"raw", "centred", "standardized", "share"}) {
    CAPTURE(score);
    const Outcome fitted = place.run("fit points.npy -k 3 --method ganmm-em --critic-score " +
                                     score + (score == "share" ? " --objective gan" : "") +
                                     " --select consensus --json --out run" + kShort);
    check_success(fitted);
    const auto metrics = nlohmann::json::parse(fitted.out);
    CHECK(metrics["method"] == "ganmm-em");
    CHECK(metrics["restarts"] == 2);
    CHECK(metrics["settings"]["critic_score"] == score);
    CHECK(metrics["settings"]["sigma"] == "0");
    CHECK_FALSE(metrics["settings"].contains("temperature"));
    check_contains(place.read("run/history.csv"), "size_2");
    check_success(place.run("predict run/model.safetensors points.npy --out again"));
    CHECK(place.read("again/assignments.npy") == place.read("run/assignments.npy"));
    CHECK(place.read("again/posteriors.npy") == place.read("run/posteriors.npy"));
    check_success(place.run("sample run/model.safetensors --count 4 --out samples"));
    check_contains(place.read("samples/samples.npy"), "(12, 2)");
  }
  const Outcome plain = place.run("fit points.npy -k 3 --method ganmm-em --iterations 4 --pretrain "
                                  "2 --verbose --json --out one");
  CHECK(plain.code == 0);
  const auto metrics = nlohmann::json::parse(plain.out);
  CHECK(metrics["restarts"] == 1);
  CHECK(metrics["select"] == "confidence");
  CHECK(metrics["settings"]["critic_score"] == "raw");
}

TEST_CASE("cli: dec writes a run folder that predict reads") {
  const Workplace place;
  const Points points = blobs(200, 6);
  place.write("points.npy", points.values);
  place.write("labels.npy", points.labels);
  const Outcome fitted = place.run(
      "fit points.npy -k 3 --method dec --encoder 16,32 --codes 3 --epochs 200 --iterations 90 "
      "--tolerance 0 --labels labels.npy --json --out run");
  check_success(fitted);
  const auto metrics = nlohmann::json::parse(fitted.out);
  CHECK(metrics["method"] == "dec");
  CHECK(metrics["restarts"] == 20);
  CHECK(metrics["iterations"] == 90);
  CHECK(metrics["converged"] == false);
  CHECK(metrics["chosen_restart"].is_null());
  CHECK(metrics["ari"] == 1.0);
  CHECK(metrics["settings"]["encoder"] == "16,32");
  CHECK(metrics["settings"]["epochs"] == 200);
  CHECK_FALSE(metrics["settings"].contains("sigma"));
  // 200 and 90 steps of all 200 rows.
  CHECK(metrics["samples_per_second"].get<double>() * metrics["seconds"].get<double>() ==
        doctest::Approx(290 * 200));
  const std::string history = place.read("run/history.csv");
  check_contains(history, "iteration,changed,divergence,confidence,size_0,size_1,size_2,purity,");
  CHECK(std::count(history.begin(), history.end(), '\n') == 1 + 4);  // 0, 30, 60, 90
  check_success(place.run("predict run/model.safetensors points.npy --out again"));
  CHECK(place.read("again/assignments.npy") == place.read("run/assignments.npy"));
  CHECK(place.read("again/posteriors.npy") == place.read("run/posteriors.npy"));
  check_refused(place.run("sample run/model.safetensors --out none"), 2, "dec");
  CHECK_FALSE(place.exists("none"));

  const Outcome verbose = place.run(
      "fit points.npy -k 3 --method dec --encoder 8 --codes 2 --epochs 5 --iterations 5 --quiet "
      "--verbose --out short");
  CHECK(verbose.code == 0);
  CHECK(verbose.out.empty());
  check_contains(verbose.err, "\"encoder\":\"8\",\"codes\":2,\"epochs\":5");
}

TEST_CASE("cli: embed writes codes that fit reads, and the encoder that made them") {
  const Workplace place;
  const Points points = blobs(200, 6);
  place.write("points.npy", points.values);
  place.write("labels.npy", points.labels);
  const std::string embed = "embed points.npy --encoder 16,32 --codes 3 --epochs 200 ";
  const Outcome embedded = place.run(embed + "--model encoder.safetensors --out codes.npy");
  check_success(embedded);
  check_contains(embedded.out, "200 points of 6 features in 3 codes, 200 steps");
  check_contains(embedded.out, "\ncodes.npy encoder.safetensors\n");
  check_contains(place.read("codes.npy"), "(200, 3)");
  for (const char* tensor : {"encoder.0.weight", "encoder.2.bias", "scale.factor"}) {
    check_contains(place.read("encoder.safetensors"), tensor);
  }
  check_success(place.run(embed + "--threads 3 --quiet --out again.npy"));
  CHECK(place.read("again.npy") == place.read("codes.npy"));
  check_success(place.run(embed + "--seed 1 --out other.npy"));
  CHECK(place.read("other.npy") != place.read("codes.npy"));
  const Outcome fitted = place.run(
      "fit codes.npy -k 3 --method kmeans --scale none --labels labels.npy --json --out run");
  check_success(fitted);
  CHECK(nlohmann::json::parse(fitted.out)["ari"] == 1.0);
  const Outcome predicted = place.run("predict encoder.safetensors points.npy --out none");
  check_refused(predicted, 2, "encoder");
  CHECK_FALSE(place.exists("none"));
}

TEST_CASE("cli: predict refuses columns in another order, and takes data without names") {
  const Workplace place;
  // A Latin-1 name, which a model file cannot hold as it is.
  const std::string rows = "\n1,2,3\n4,5,6\n7,8,9\n1,3,5\n2,4,6\n3,5,7\n";
  place.write("trained.csv", "width,h\xf6he,depth" + rows);
  place.write("swapped.csv", "width,depth,h\xf6he" + rows);
  place.write("unnamed.csv", rows.substr(1));
  check_success(place.run(std::string("fit trained.csv -k 2 --quiet --out run") + kShort));
  const std::string predict = "predict run/model.safetensors ";
  check_success(place.run(predict + "trained.csv --out named"));
  check_success(place.run(predict + "unnamed.csv --out unnamed"));
  CHECK(place.read("named/posteriors.npy") == place.read("unnamed/posteriors.npy"));
  const Outcome swapped = place.run(predict + "swapped.csv --out swapped");
  check_refused(swapped, 2, "expected feature 2 (counted from 1) to be \"h");
  check_contains(swapped.err, "found \"depth\"");
  CHECK_FALSE(place.exists("swapped"));
}

TEST_CASE("cli: the same seed gives the same bytes for one and two threads") {
  const Workplace place;
  place.write("points.npy", blobs(200, 2).values);
  for (const char* threads : {"1", "2"}) {
    check_success(place.run(std::string("fit points.npy -k 3 --quiet --seed 5 --threads ") +
                            threads + " --out run" + threads + kShort));
  }
  for (const std::string file : {"/assignments.npy", "/posteriors.npy", "/model.safetensors"}) {
    CAPTURE(file);
    CHECK(place.read("run1" + file) == place.read("run2" + file));
  }
}

TEST_CASE("cli: images of 8 x 8 and 16 x 16 run through fit, predict and sample") {
  const Workplace place;
  place.write("small.npy", io::test::npy("|u1", "(40, 8, 8)", halves(40, 8)));
  place.write("large.idx", io::test::idx({40, 16, 16}, halves(40, 16)));
  for (const std::string data : {"small.npy", "large.idx"}) {
    CAPTURE(data);
    // Convolutions, and the default, on codes.
    const std::string net = data == "small.npy"
                                ? " --net conv --width 4 --restarts 1"
                                : " --encoder 16 --codes 3 --epochs 30 --refine 20 --restarts 2";
    check_success(place.run("fit " + data + " -k 2" + net +
                            " --noise 8 --batch 8 --iterations 4 --pretrain 2 --quiet --out run-" +
                            data));
    check_success(
        place.run("predict run-" + data + "/model.safetensors " + data + " --out again-" + data));
    CHECK(place.read("again-" + data + "/assignments.npy") ==
          place.read("run-" + data + "/assignments.npy"));
    check_success(
        place.run("sample run-" + data + "/model.safetensors --count 3 --out samples-" + data));
    check_contains(place.read("samples-" + data + "/samples.npy"),
                   data == "small.npy" ? "(6, 8, 8, 1)" : "(6, 16, 16, 1)");
#if GANMM_HAVE_PNG
    check_contains(place.read("run-" + data + "/samples.png"), "PNG");
    check_contains(place.read("run-" + data + "/report.html"), "data:image/png;base64,iVBORw0KGgo");
    check_contains(place.read("samples-" + data + "/samples.png"), "PNG");
#endif
  }
}

TEST_CASE("cli: a fit on a sample scores and starts from the labels of its rows") {
  const Workplace place;
  place.write("points.npy", blobs(120, 2).values);
  std::string labels;
  for (int row = 0; row < 120; ++row) labels += std::to_string(row / 2 % 2) + "\n";
  place.write("labels.csv", labels);
  const Outcome fitted =
      place.run("fit points.npy -k 2 --labels labels.csv --init labels.csv --sample 60"
                " --pretrain 5 --iterations 5 --restarts 2 --hidden 8 --json --out run");
  check_success(fitted);
  check_contains(fitted.out, "\"n\":120,");
  const std::string history = place.read("run/history.csv");
  check_contains(history, ",purity,ari,nmi");
}

TEST_CASE("cli: options come from a config file, on top of the published settings") {
  const Workplace place;
  place.write("points.npy", blobs(60, 2).values);
  place.write("fit.ini", "clusters=3\niterations=4\npretrain=2\nbatch=9\nselect=\"all\"\n");
  const Outcome fitted = place.run(
      "fit points.npy --config fit.ini --compat reference --batch 8 --restarts 2 --json --out run");
  check_success(fitted);
  const auto metrics = nlohmann::json::parse(fitted.out);
  CHECK(metrics["clusters"] == 3);
  CHECK(metrics["select"] == "all");
  CHECK(metrics["restarts"] == 2);
  CHECK(metrics["settings"]["objective"] == "wgan-clip");
  CHECK(metrics["settings"]["double_softmax"] == true);
  CHECK(metrics["settings"]["batch"] == 8);
  check_contains(place.read("run/assignments-all.npy"), "(2, 60)");

  // The folder of an older run is used again: what this run does not write is not left behind.
  check_success(place.run("fit points.npy --config fit.ini --select consensus --quiet --out run"));
  CHECK_FALSE(place.exists("run/assignments-all.npy"));
}

TEST_CASE("cli: a signal ends the training, the results so far are written") {
  const Workplace place;
  place.write("points.npy", blobs(60, 2).values);
  const std::string fit = GANMM_BINARY
      " fit points.npy -k 3 --iterations 100000000 --tolerance 0 --restarts 1 --pretrain 0 --quiet";
  // One request that arrives several times, as timeout(1) may send it.
  const Outcome terminated = place.shell(
      "{ " + fit +
      " & pid=$!; sleep 3; for i in 1 2 3 4 5 6 7 8; do kill -TERM $pid 2>/dev/null; done; "
      "wait $pid; }");
  CHECK(terminated.code == 143);
  check_no_error(terminated);
  const auto metrics = nlohmann::json::parse(place.read("ganmm-run/metrics.json"));
  CHECK(metrics["interrupted"] == true);
  CHECK(metrics["converged"] == false);
  check_success(place.run("predict ganmm-run/model.safetensors points.npy"));
  CHECK(place.read("ganmm-predict/assignments.npy") == place.read("ganmm-run/assignments.npy"));
}

TEST_CASE("cli: a failure at run time exits with 1") {
  const Workplace place;
  place.write("points.npy", blobs(60, 2).values);
  const std::string fit = std::string("fit points.npy -k 3 --out run") + kShort;
  check_refused(place.run(fit + "--learning-rate 1e30"), 1, "training diverged");
  CHECK_FALSE(place.exists("run/assignments.npy"));
  CHECK_FALSE(place.exists("run/metrics.json"));
  std::filesystem::create_directories(place.path("run/metrics.json"));
  check_refused(place.run(fit), 1, "metrics.json");
}

TEST_CASE("cli: a fit on a pipe prints a summary, and nothing when it is to be quiet") {
  const Workplace place;
  const Points points = blobs(60, 2);
  place.write("points.npy", points.values);
  place.write("labels.npy", points.labels);
  const std::string fit = std::string("fit points.npy -k 3 --labels labels.npy") + kShort;
  const Outcome loud = place.run(fit);
  check_success(loud);
  for (const char* part : {"60 points", "purity ", "  ARI ", "  NMI ", "  ACC ", "cluster sizes",
                           "ganmm-run: assignments.npy"}) {
    check_contains(loud.out, part);
  }
  const Outcome quiet = place.run(fit + "--quiet");
  check_success(quiet);
  CHECK(quiet.out.empty());
  const Outcome verbose = place.run(fit + "--verbose --json");
  CHECK(verbose.code == 0);
  check_contains(verbose.err, "\"critic_steps\":5");
  check_contains(verbose.err, " bytes  in all");
  CHECK(nlohmann::json::accept(verbose.out));
}

TEST_CASE("cli: help and info answer on stdout") {
  const Workplace place;
  for (const std::string help : {"--help", "fit --help", "predict --help", "sample --help",
                                 "score --help", "info --help", "--version"}) {
    CAPTURE(help);
    const Outcome outcome = place.run(help);
    check_success(outcome);
    CHECK_FALSE(outcome.out.empty());
  }
  check_contains(place.run("fit --help").out, "--critic-steps INT=5");
  const Outcome info = place.run("info --json");
  check_success(info);
  const auto json = nlohmann::json::parse(info.out);
  CHECK(json["cpu"]["threads"].get<int>() >= 1);
  CHECK(json["cpu"]["instructions"] == cpu_instruction_set());
  CHECK(json["build"]["features"]["libpng"].get<bool>() == (GANMM_HAVE_PNG != 0));
  CHECK((json["cuda"]["devices"].empty() == !json["cuda"]["reason"].get<std::string>().empty()));
  check_contains(place.run("info").out, "CUDA ");
}

}  // namespace
}  // namespace ganmm
