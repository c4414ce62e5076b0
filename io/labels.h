// Turns spelled labels into class numbers 0, 1, ...
//
// When all labels are integers the classes are in numeric order ("2" before "10"; "1" and "1.0" are
// one class), otherwise in lexicographic order of the spelling.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ganmm::io {

// An integer, also when spelled as a whole decimal number ("3.0"); nothing otherwise.
std::optional<std::int64_t> parse_integer(std::string_view text);

struct Labels {
  std::vector<std::int32_t> numbers;  // one per row
  std::vector<std::string> names;     // spelling of each class, index = class number
};

class LabelCollector {
 public:
  void add(std::string_view label);
  Labels finish();

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  Labels seen_;  // numbered by first appearance
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> index_;
};

}  // namespace ganmm::io
