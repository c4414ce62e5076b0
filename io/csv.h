// Tables of numbers as text: a row per line, LF or CRLF, an optional header, one column of labels.
//
// Delimiter: tab, semicolon or comma, the first of them that splits the first two lines into
// equally many cells; otherwise runs of blanks. Cells may be "quoted", with "" for a quote.
// Header: the first line is one when a cell of a feature is neither a number nor a mark of a
// missing value, when it names the label column, or when its label is text above a number.
// Blank lines may only end the file.
//
// Throws InputError with the line (counted from 1), the column and the text for ragged rows, text
// among numbers, missing values, NaN, Inf and numbers beyond float. Numbers below float's range
// become 0.
#pragma once

#include "io/byte_source.h"
#include "io/labels.h"

namespace ganmm::io {

struct CsvTable {
  Index rows = 0;
  Index features = 0;
  std::vector<float> values;         // rows x features
  std::vector<std::string> columns;  // names of the features; empty without a header
  Labels labels;                     // empty without a label column
};

// label_column: empty for none, "last", a header name, or a column number counted from 1 when the
// file has no header. A file may hold labels alone: then `features` is 0.
CsvTable read_csv(ByteSource& source, const std::string& label_column);

// A file with one column of labels.
Labels read_csv_labels(ByteSource& source);

}  // namespace ganmm::io
