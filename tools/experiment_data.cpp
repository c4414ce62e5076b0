#include "tools/experiment_data.h"

#include "ganmm/row_order.h"
#include "kernels/core/error.h"
#include "tools/samples.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <sstream>

namespace ganmm::tools {
namespace {

// FNV-1a of 32-bit words.
template <class T>
std::uint64_t add_to_checksum(std::uint64_t sum, const std::vector<T>& values) {
  static_assert(sizeof(T) == sizeof(std::uint32_t));
  for (const T value : values) {
    sum = (sum ^ std::bit_cast<std::uint32_t>(value)) * 0x100000001b3u;
  }
  return sum;
}

std::string checksum(const io::Dataset& set) {
  std::uint64_t sum = 0xcbf29ce484222325u;
  sum = add_to_checksum(sum, set.values);
  sum = add_to_checksum(sum, set.labels);
  std::ostringstream text;
  text << std::hex << sum;
  return text.str();
}

void keep_first(io::Dataset& set, Index rows) {
  set.values.resize(static_cast<std::size_t>(rows * set.item.count()));
  set.labels.resize(static_cast<std::size_t>(rows));
  set.rows = rows;
}

}  // namespace

ExperimentData load_experiment_data(const Experiment& experiment, const std::string& path,
                                    io::LoadOptions load, Index factor) {
  std::string file = path;
  if (file.empty() && std::filesystem::exists(experiment.bundled)) {
    file = experiment.bundled;
    if (load.labels_file.empty() && load.label_column.empty()) load.label_column = "last";
  }
  require<ConfigError>(
      !file.empty(), "experiment ", experiment.name, ": expected --data FILE with ",
      experiment.data, ", and its classes by --labels FILE or --label-column NAME, found no file",
      experiment.bundled.empty() ? "" : " and no ", experiment.bundled,
      experiment.bundled.empty() ? "" : " here; run it in the checkout or name the file");
  ExperimentData data;
  data.set = io::load_dataset(file, load);
  io::Dataset& set = data.set;
  require<InputError>(!set.labels.empty(), "experiment ", experiment.name,
                      ": expected labels to score with, found none for ", file,
                      "; use --labels FILE or, in a CSV file, --label-column NAME");
  require<InputError>(static_cast<Index>(set.label_names.size()) == experiment.clusters,
                      "experiment ", experiment.name, ": expected ", experiment.data, ", ",
                      experiment.clusters, " classes, found ", set.label_names.size(), " in ", file,
                      "; name the file of this experiment");
  require<InputError>(experiment.view != View::samples || is_image(set.item), "experiment ",
                      experiment.name, ": expected images, found rows of ", to_string(set.item),
                      " features in ", file, "; use an IDX file or an .npy of [n, H, W]");
  if (is_image(set.item) && factor > 1) keep_first(set, std::max<Index>(set.rows / factor, 1));
  data.scale = io::resolve_scale(set, io::ScaleKind::automatic);
  io::apply(io::fit_scaling(set, data.scale), set.values, set.item.count());
  data.checksum = checksum(set);
  return data;
}

Index rows_of_share(const io::Dataset& set, double share) {
  return std::max<Index>(std::llround(share * static_cast<double>(set.rows)), 1);
}

io::Dataset draw_share(const io::Dataset& set, double share, std::uint64_t seed) {
  const Index rows = rows_of_share(set, share);
  std::vector<std::int32_t> order(static_cast<std::size_t>(set.rows));
  permute(order, seed, Purpose::shuffle, 1);  // group 0 is the order of training
  order.resize(static_cast<std::size_t>(rows));
  std::sort(order.begin(), order.end());
  const Index features = set.item.count();
  io::Dataset drawn;
  drawn.rows = rows;
  drawn.item = set.item;
  drawn.columns = set.columns;
  drawn.source = set.source;
  drawn.values.reserve(static_cast<std::size_t>(rows * features));
  for (const std::int32_t row : order) {
    const auto begin = set.values.begin() + row * features;
    drawn.values.insert(drawn.values.end(), begin, begin + features);
  }
  return drawn;
}

}  // namespace ganmm::tools
