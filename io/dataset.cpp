#include "io/dataset.h"

#include "io/csv.h"
#include "io/idx.h"
#include "io/npy.h"

#include <algorithm>
#include <limits>
#include <new>
#include <optional>
#include <utility>

namespace ganmm::io {
namespace {

// Nothing for CSV, which has no header of this kind.
std::optional<ArrayHeader> read_array_header(ByteSource& source) {
  if (is_npy(source)) return read_npy_header(source);
  if (is_idx(source)) return read_idx_header(source);
  return std::nullopt;
}

Shape item_shape(const std::vector<Index>& extents) {
  switch (extents.size()) {
  case 2: return Shape{extents[1]};
  case 3: return Shape{extents[1], extents[2], 1};
  default: return Shape{extents[1], extents[2], extents[3]};
  }
}

void load_array(ByteSource& source, const ArrayHeader& header, Dataset& data) {
  const auto& extents = header.extents;
  require<InputError>(extents.size() >= 2, "read ", source.path(),
                      ": expected a table [n, F] or images [n, H, W(, C)], found shape ",
                      to_string(extents), "; reshape the array to (n, 1) if it has one feature");
  require<InputError>(std::find(extents.begin(), extents.end(), 0) == extents.end(), "read ",
                      source.path(), ": expected rows and features, found shape ",
                      to_string(extents));
  data.values = read_floats(source, header);
  data.rows = extents.front();
  data.item = item_shape(extents);
}

void load_csv(ByteSource& source, const std::string& label_column, Dataset& data) {
  CsvTable table = read_csv(source, label_column);
  require<InputError>(table.features > 0, "read ", source.path(),
                      ": expected a feature beside the label column, found none");
  data.rows = table.rows;
  data.item = Shape{table.features};
  data.values = std::move(table.values);
  data.columns = std::move(table.columns);
  data.labels = std::move(table.labels.numbers);
  data.label_names = std::move(table.labels.names);
}

Labels load_spelled_labels(const std::string& path) {
  ByteSource source(path);
  const auto header = read_array_header(source);
  if (!header) return read_csv_labels(source);
  LabelCollector collector;
  for (const std::int64_t label : read_integers(source, *header)) {
    collector.add(std::to_string(label));
  }
  return collector.finish();
}

}  // namespace

Dataset load_dataset(const std::string& path, const LoadOptions& options) {
  require<ConfigError>(options.label_column.empty() || options.labels_file.empty(), "load ", path,
                       ": expected a label column or a labels file, found both; give one");
  Dataset data;
  data.source = path;
  try {
    ByteSource source(path);
    const auto header = read_array_header(source);
    if (header) {
      require<ConfigError>(options.label_column.empty(), "load ", path, ": label column '",
                           options.label_column, "' needs a CSV file, found an array; give the ",
                           "labels as a file of their own");
      load_array(source, *header, data);
    } else {
      load_csv(source, options.label_column, data);
    }
    if (!options.labels_file.empty()) {
      data.labels = load_labels(options.labels_file, &data.label_names);
    }
  } catch (const std::bad_alloc&) {
    throw OutOfMemoryError(message("load ", path, ": the values do not fit in memory; cluster a ",
                                   "subset of the rows"));
  }
  require<InputError>(options.labels_file.empty() ||
                          static_cast<Index>(data.labels.size()) == data.rows,
                      "read ", options.labels_file, ": expected ", data.rows,
                      " labels, one for each row of ", path, ", found ", data.labels.size(),
                      "; a header above text labels counts as a label, leave it out");
  return data;
}

std::vector<std::int32_t> load_labels(const std::string& path, std::vector<std::string>* names) {
  Labels labels = load_spelled_labels(path);
  require<InputError>(!labels.numbers.empty(), "read ", path, ": expected labels, found none");
  if (names != nullptr) *names = std::move(labels.names);
  return std::move(labels.numbers);
}

std::vector<std::int32_t> load_assignments(const std::string& path) {
  std::vector<std::string> names;
  std::vector<std::int32_t> assignments = load_labels(path, &names);
  constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();
  for (std::size_t row = 0; row < assignments.size(); ++row) {
    const std::string& name = names[static_cast<std::size_t>(assignments[row])];
    const auto number = parse_integer(name);
    require<InputError>(number && *number >= 0 && *number <= kLargest, "read ", path, ": row ",
                        row + 1, " (counted from 1): expected a cluster number from 0 to ",
                        kLargest, ", found '", printable(name), "'");
    assignments[row] = static_cast<std::int32_t>(*number);
  }
  return assignments;
}

}  // namespace ganmm::io
