// Data sets and labels from files, told apart by their content: NumPy .npy, IDX of unsigned bytes,
// otherwise CSV; each also gzip-compressed.
//
// Throws InputError for every file that cannot be used (missing, malformed, cut short, NaN, no
// rows, wrong label counts), ConfigError for options that exclude each other, OutOfMemoryError when
// the values do not fit, UnsupportedError for gzip in a build without zlib.
#pragma once

#include "kernels/core/shape.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ganmm::io {

struct Dataset {
  Index rows = 0;
  Shape item;                            // {F} for a table, {H, W, C} for images
  std::vector<float> values;             // rows x item, row-major, channels last, as in the file
  std::vector<std::string> columns;      // feature names of a CSV file with a header, else empty
  std::vector<std::int32_t> labels;      // empty when there are none; class numbers 0, 1, ...
  std::vector<std::string> label_names;  // spelling of each class, index = class number
  std::string source;                    // the path
};

struct LoadOptions {
  // CSV only: empty = none, "last" = the last column, otherwise a header name, or a column number
  // counted from 1 when the file has no header. Excludes labels_file.
  std::string label_column;
  std::string labels_file;  // read as load_labels does; one label per row
};

// 2-D arrays are tables [n, F], 3-D arrays images [n, H, W] with C = 1, 4-D arrays [n, H, W, C].
// Values are not scaled: 8-bit pixels are 0..255.
Dataset load_dataset(const std::string& path, const LoadOptions& options);

// One column of CSV (numbers or text, header or not), a 1-D integer .npy array, or 1-D IDX.
// Classes are numbered in numeric order of integer labels, else in lexicographic order of the text.
// A header above text labels cannot be told from a label: leave it out.
std::vector<std::int32_t> load_labels(const std::string& path,
                                      std::vector<std::string>* names = nullptr);

// The same files, cluster numbers >= 0 as they are written.
std::vector<std::int32_t> load_assignments(const std::string& path);

}  // namespace ganmm::io
