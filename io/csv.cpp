#include "io/csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace ganmm::io {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::size_t kLongestLine = std::size_t{1} << 25;
constexpr std::string_view kBlanks = " \t";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// Splits one line; the delimiter ' ' stands for runs of blanks.
class CellScanner {
 public:
  CellScanner(std::string_view line, char delimiter)
      : rest_(delimiter == ' ' ? trimmed(line) : line), delimiter_(delimiter) {}

  // The next cell, trimmed and unquoted, valid until the next call; false behind the last one.
  bool next(std::string_view& cell) {
    if (done_) return false;
    const std::size_t start = rest_.find_first_not_of(delimiter_ == '\t' ? " " : kBlanks);
    if (start != std::string_view::npos && rest_[start] == '"') {
      rest_.remove_prefix(start + 1);
      cell = quoted();
      return true;
    }
    cell = trimmed(cut(find_delimiter()));
    return true;
  }

  // A quote without an end, or text behind the end.
  bool quotes_fit() const { return quotes_fit_; }

 private:
  std::size_t find_delimiter() const {
    return delimiter_ == ' ' ? rest_.find_first_of(kBlanks) : rest_.find(delimiter_);
  }

  std::string_view cut(std::size_t end) {
    const std::string_view cell = rest_.substr(0, end);
    done_ = end == std::string_view::npos;
    if (!done_) rest_.remove_prefix(end + 1);
    if (delimiter_ == ' ') {
      rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlanks), rest_.size()));
    }
    return cell;
  }

  std::string_view quoted() {
    unquoted_.clear();
    while (true) {
      const std::size_t quote = rest_.find('"');
      unquoted_ += rest_.substr(0, quote);
      if (quote == std::string_view::npos) {
        quotes_fit_ = false;
        done_ = true;
        return unquoted_;
      }
      rest_.remove_prefix(quote + 1);
      if (rest_.empty() || rest_[0] != '"') break;
      unquoted_ += '"';
      rest_.remove_prefix(1);
    }
    if (!trimmed(cut(find_delimiter())).empty()) quotes_fit_ = false;
    return unquoted_;
  }

  std::string_view rest_;
  char delimiter_;
  bool done_ = false;
  bool quotes_fit_ = true;
  std::string unquoted_;
};

enum class CellKind { number, text, missing, not_finite, overflow };

bool marks_missing(std::string_view cell) {
  constexpr std::array<std::string_view, 9> kMarks = {"",     "?",    "-",    "NA",  "N/A",
                                                      "null", "NULL", "None", "#N/A"};
  return std::find(kMarks.begin(), kMarks.end(), cell) != kMarks.end();
}

CellKind classify_failure(std::string_view cell) {
  return marks_missing(cell) ? CellKind::missing : CellKind::text;
}

CellKind parse_number(std::string_view cell, float& value) {
  const std::string_view whole = cell;
  if (cell.size() > 1 && cell[0] == '+' && cell[1] != '-') cell.remove_prefix(1);
  const char* const end = cell.data() + cell.size();
  const auto [stop, status] = std::from_chars(cell.data(), end, value);
  if (status == std::errc::invalid_argument || stop != end) return classify_failure(whole);
  if (status == std::errc() && std::isfinite(value)) return CellKind::number;
  if (cell.find_first_of("nN") != std::string_view::npos) return CellKind::not_finite;
  // Out of range says nothing of the direction, and a tiny number is no error.
  long double wide = 0;
  const auto again = std::from_chars(cell.data(), end, wide);
  if (again.ec != std::errc() || std::fabs(wide) >= 1) return CellKind::overflow;
  value = static_cast<float>(wide);
  return CellKind::number;
}

bool is_text(std::string_view cell) {
  float ignored = 0;
  return parse_number(cell, ignored) == CellKind::text;
}

std::vector<std::string> split(std::string_view line, char delimiter) {
  std::vector<std::string> cells;
  CellScanner scanner(line, delimiter);
  for (std::string_view cell; scanner.next(cell);) cells.emplace_back(cell);
  return cells;
}

char sniff_delimiter(std::string_view first, std::string_view second) {
  constexpr std::array<char, 3> kCandidates = {'\t', ';', ','};
  for (const char candidate : kCandidates) {
    const std::size_t cells = split(first, candidate).size();
    if (cells > 1 && (second.empty() || split(second, candidate).size() == cells)) return candidate;
  }
  // Ragged from the start: let the row check name the line.
  for (const char candidate : kCandidates) {
    if (split(first, candidate).size() > 1) return candidate;
  }
  return ' ';
}

class CsvParser {
 public:
  CsvParser(ByteSource& source, std::string label_column, bool labels_only)
      : source_(source), label_column_(std::move(label_column)), labels_only_(labels_only) {}

  CsvTable parse() {
    refuse_binary();
    if (source_.peek(3) == "\xef\xbb\xbf") {  // byte order mark
      std::array<char, 3> mark{};
      source_.read(mark.data(), mark.size());
    }
    std::string buffer;
    while (true) {
      const std::size_t kept = buffer.size();
      buffer.resize(kept + kChunk);
      const std::size_t got = source_.read_some(buffer.data() + kept, kChunk);
      buffer.resize(kept + got);
      if (got == 0) break;
      const std::size_t last_end = std::string_view(buffer).substr(kept).rfind('\n');
      if (last_end == std::string_view::npos) {
        require<InputError>(buffer.size() <= kLongestLine, "read ", source_.path(), ": line ",
                            line_ + 1, " is longer than ", kLongestLine,
                            " bytes; expected a table of text with one row per line");
        continue;
      }
      const std::size_t lines = kept + last_end + 1;
      take_lines(std::string_view(buffer).substr(0, lines));
      buffer.erase(0, lines);
    }
    if (!buffer.empty()) take_line(buffer);
    return finish();
  }

 private:
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw InputError(message("read ", source_.path(), ": line ", line_, parts...));
  }

  template <class... Parts>
  void require_input(bool condition, const Parts&... parts) const {
    if (!condition) fail(parts...);
  }

  void refuse_binary() {
    const std::string_view start = source_.peek(4096);
    require<InputError>(!start.empty(), "read ", source_.path(),
                        ": expected a table, found an empty file");
    const std::size_t zero = start.find('\0');
    require<InputError>(zero == std::string_view::npos, "read ", source_.path(),
                        ": expected CSV text, .npy or IDX, found a zero byte at byte ", zero,
                        "; save it in one of these formats (text as UTF-8)");
  }

  void take_lines(std::string_view text) {
    const std::size_t before = table_.values.size();
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      take_line(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
    reserve_ahead(table_.values.size() - before);
  }

  // Doubling would hold the table three times at its peak; the share of the file that is read says
  // well enough how large it will be.
  void reserve_ahead(std::size_t per_chunk) {
    auto& values = table_.values;
    const double share = source_.fraction_read();
    if (share <= 0 || share >= 1 || values.capacity() - values.size() >= 2 * per_chunk) return;
    constexpr double kSpare = 1.05;
    values.reserve(static_cast<std::size_t>(static_cast<double>(values.size()) / share * kSpare) +
                   2 * per_chunk);
  }

  void take_line(std::string_view line) {
    ++line_;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.find_first_not_of(kBlanks) == std::string_view::npos) {
      if (blank_line_ == 0) blank_line_ = line_;
      return;
    }
    require<InputError>(blank_line_ == 0, "read ", source_.path(), ": line ", blank_line_,
                        ": expected a row, found a blank line; remove it");
    if (started_) {
      take_row(line);
    } else if (!has_first_) {
      first_ = line;
      has_first_ = true;
    } else {
      start(line);
      take_row(line);
    }
  }

  CsvTable finish() {
    require<InputError>(has_first_, "read ", source_.path(),
                        ": expected a table, found blank lines alone");
    if (!started_) start({});
    require<InputError>(table_.rows > 0, "read ", source_.path(),
                        ": expected rows below the header, found none");
    table_.labels = labels_.finish();
    const auto& names = table_.labels.names;
    line_ = 1;
    require_input(
        !header_by_label_ || std::all_of(names.begin(), names.end(), parse_integer),
        ": cannot tell a header from a row, its label is text, the next one a number and ",
        "others text again; add a header that names the features in words");
    return std::move(table_);
  }

  // With the first two lines at hand; the second is empty when there is none.
  void start(std::string_view second) {
    started_ = true;
    const Index current = line_;
    line_ = 1;
    delimiter_ = sniff_delimiter(first_, second);
    CellScanner scanner(first_, delimiter_);
    std::vector<std::string> cells;
    for (std::string_view cell; scanner.next(cell);) cells.emplace_back(cell);
    require_input(scanner.quotes_fit(), ": expected closed quotes");
    width_ = static_cast<Index>(cells.size());
    require_input(!labels_only_ || width_ == 1, ": expected one column of labels, found ", width_,
                  " columns; keep the label column alone");
    const bool header = first_is_header(cells, split(second, delimiter_));
    label_index_ = find_label(cells, header);
    if (header) {
      if (label_index_ >= 0) cells.erase(cells.begin() + label_index_);
      table_.columns = std::move(cells);
    }
    table_.features = width_ - (label_index_ >= 0 ? 1 : 0);
    if (!header) take_row(first_);
    line_ = current;
  }

  bool first_is_header(const std::vector<std::string>& cells,
                       const std::vector<std::string>& below) {
    const bool last_is_label = label_column_ == "last";
    const auto number = parse_integer(label_column_);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const bool is_label = (last_is_label && i + 1 == cells.size()) ||
                            (number && *number == static_cast<std::int64_t>(i) + 1);
      if (!is_text(cells[i])) continue;
      if (!is_label || cells[i] == label_column_) return true;
      header_by_label_ = below.size() == cells.size() && parse_integer(below[i]);
    }
    return header_by_label_;
  }

  // -1 for no label column.
  std::ptrdiff_t find_label(const std::vector<std::string>& cells, bool header) const {
    if (label_column_.empty()) return -1;
    const auto width = static_cast<std::ptrdiff_t>(cells.size());
    if (header) {
      const auto found = std::find(cells.begin(), cells.end(), label_column_);
      if (found != cells.end()) {
        require_input(std::find(found + 1, cells.end(), label_column_) == cells.end(),
                      ": expected one column named '", printable(label_column_),
                      "' for the labels, found several; rename them");
        return found - cells.begin();
      }
    }
    if (label_column_ == "last") return width - 1;
    require_input(!header, ": no label column '", printable(label_column_), "'; the columns are ",
                  shortened(cells));
    const auto number = parse_integer(label_column_);
    require_input(number && *number >= 1 && *number <= width, ": no label column '",
                  printable(label_column_), "'; the file has no header, give 'last' or a number ",
                  "from 1 to ", width);
    return *number - 1;
  }

  static std::string shortened(const std::vector<std::string>& names) {
    constexpr std::size_t kShown = 8;
    std::string text;
    for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i) {
      text += (i == 0 ? "" : ", ") + printable(names[i]);
    }
    if (names.size() > kShown) {
      text += ", ..., " + printable(names.back()) + message(" (", names.size(), " in all)");
    }
    return text;
  }

  void take_row(std::string_view line) {
    CellScanner scanner(line, delimiter_);
    Index column = 0;
    for (std::string_view cell; column < width_ && scanner.next(cell); ++column) {
      if (column == label_index_) {
        if (marks_missing(cell)) refuse_cell(line, column, cell, CellKind::missing);
        labels_.add(cell);
        continue;
      }
      float value = 0;
      const CellKind kind = parse_number(cell, value);
      if (kind != CellKind::number) refuse_cell(line, column, cell, kind);
      table_.values.push_back(value);
    }
    require_input(scanner.quotes_fit(), ": expected closed quotes");
    std::string_view extra;
    if (column < width_ || scanner.next(extra)) refuse_width(line);
    ++table_.rows;
  }

  [[noreturn]] void refuse_width(std::string_view line) const {
    fail(": expected ", width_, " cells as in line 1, found ", split(line, delimiter_).size());
  }

  [[noreturn]] void refuse_cell(std::string_view line, Index column, std::string_view cell,
                                CellKind kind) const {
    // A row that is too short or too long often shows as text in the wrong place.
    if (split(line, delimiter_).size() != static_cast<std::size_t>(width_)) refuse_width(line);
    const std::string place = message(", column ", column + 1, column_name(column));
    const std::string shown = printable(cell);
    if (kind == CellKind::missing) {
      fail(place, ": expected a value, found a missing one ('", shown,
           "'); fill it in or remove the row");
    }
    if (kind == CellKind::text) {
      fail(place, ": expected a number, found '", shown,
           "'; if the column holds classes, name it as the label column");
    }
    fail(place, ": expected a finite number within float, found '", shown, "'; remove the row");
  }

  std::string column_name(Index column) const {
    if (table_.columns.empty()) return "";
    if (column == label_index_) return " (the labels)";
    const Index feature = column - (label_index_ >= 0 && column > label_index_ ? 1 : 0);
    return " '" + printable(table_.columns[static_cast<std::size_t>(feature)]) + "'";
  }

  ByteSource& source_;
  std::string label_column_;
  bool labels_only_;
  char delimiter_ = ',';
  Index width_ = 0;  // cells per line
  std::ptrdiff_t label_index_ = -1;
  Index line_ = 0;
  Index blank_line_ = 0;  // the first one, 0 for none
  std::string first_;
  bool has_first_ = false;
  bool started_ = false;
  bool header_by_label_ = false;  // nothing but text above an integer label says so
  CsvTable table_;
  LabelCollector labels_;
};

}  // namespace

CsvTable read_csv(ByteSource& source, const std::string& label_column) {
  return CsvParser(source, label_column, false).parse();
}

Labels read_csv_labels(ByteSource& source) {
  return CsvParser(source, "last", true).parse().labels;
}

}  // namespace ganmm::io
