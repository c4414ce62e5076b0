// The full data sets, where a folder holds them: the one that GANMM_DATA names, or shared/data
// beside the repository. It has the layout mnist/*.gz, image-segmentation/*.csv,
// artificial-characters/*.csv.
#include "io/dataset.h"
#include "tests/integration/workplace.h"

#include <sys/resource.h>

#include <array>
#include <optional>
#include <vector>

namespace ganmm {
namespace {

using test::check_success;
using test::Workplace;

std::optional<std::filesystem::path> data_folder() {
  const char* named = std::getenv("GANMM_DATA");
  const std::filesystem::path root = std::filesystem::path(GANMM_TEST_DATA) / ".." / "..";
  const std::filesystem::path folder = named != nullptr ? named : root / ".." / "shared" / "data";
  if (std::filesystem::is_directory(folder)) return std::filesystem::canonical(folder);
  MESSAGE("skipped: no data in ", folder.string(), "; GANMM_DATA names the folder");
  return std::nullopt;
}

std::vector<Index> class_counts(const io::Dataset& data) {
  std::vector<Index> counts(data.label_names.size());
  for (const std::int32_t label : data.labels) ++counts[static_cast<std::size_t>(label)];
  return counts;
}

// In KiB, of the largest process that was run and waited for.
long peak_memory_of_children() {
  rusage usage{};
  REQUIRE(getrusage(RUSAGE_CHILDREN, &usage) == 0);
  return usage.ru_maxrss;
}

TEST_SUITE("slow") {
  TEST_CASE("data: MNIST has the published pixel sums and class counts") {
    if (!GANMM_HAVE_ZLIB) return;
    const auto folder = data_folder();
    if (!folder) return;
    struct Part {
      const char* name;
      Index rows;
      std::int64_t sum;
      std::vector<Index> counts;
    };
    const std::array<Part, 2> parts{
        Part{"train",
             60000,
             1567298545,
             {5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}},
        Part{"t10k", 10000, 264923200, {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}}};
    for (const Part& part : parts) {
      CAPTURE(part.name);
      const std::string start = (*folder / "mnist" / part.name).string();
      io::LoadOptions options;
      options.labels_file = start + "-labels-idx1-ubyte.gz";
      const io::Dataset data = io::load_dataset(start + "-images-idx3-ubyte.gz", options);
      CHECK(data.rows == part.rows);
      CHECK(data.item == Shape{28, 28, 1});
      std::int64_t sum = 0;
      for (const float pixel : data.values) sum += static_cast<std::int64_t>(pixel);
      CHECK(sum == part.sum);
      CHECK(class_counts(data) == part.counts);
    }
  }

  TEST_CASE("data: the tables have their rows, columns and classes") {
    const auto folder = data_folder();
    if (!folder) return;
    io::LoadOptions options;
    options.label_column = "label";
    const io::Dataset characters = io::load_dataset(
        (*folder / "artificial-characters" / "artificial-characters.csv").string(), options);
    CHECK(characters.rows == 30654);
    CHECK(characters.item == Shape{6});
    CHECK(class_counts(characters) ==
          std::vector<Index>{3630, 2403, 3013, 3000, 2400, 3612, 3000, 1800, 3585, 4211});

    const std::string segmentation =
        io::test::contents((*folder / "image-segmentation" / "image-segmentation.csv").string());
    CHECK_FALSE(segmentation.empty());
    const bool equal =
        segmentation == io::test::contents(GANMM_TEST_DATA "/image-segmentation.csv");
    CHECK(equal);
  }

  TEST_CASE("cli: 10,000 images run through fit, predict and sample in less than 1 GB") {
    if (!GANMM_HAVE_ZLIB) return;
    const auto folder = data_folder();
    if (!folder) return;
    const Workplace place;
    const std::string images = (*folder / "mnist" / "t10k-images-idx3-ubyte.gz").string();
    check_success(place.run("fit '" + images +
                            "' -k 10 --net conv --width 16 --iterations 3 --pretrain 2 --quiet"
                            " --out run"));
    check_success(place.run("predict run/model.safetensors '" + images + "' --out again"));
    const bool reproduced =
        place.read("again/assignments.npy") == place.read("run/assignments.npy");
    CHECK(reproduced);
    check_success(place.run("sample run/model.safetensors --count 4 --out samples"));
    io::test::check_contains(place.read("samples/samples.npy").substr(0, 128), "(40, 28, 28, 1)");
#if GANMM_HAVE_PNG
    io::test::check_contains(place.read("samples/samples.png").substr(0, 8), "PNG");
#endif
    CHECK(peak_memory_of_children() < 1000000000 / 1024);
  }
}

}  // namespace
}  // namespace ganmm
