// The program, run as its users run it, in a temporary folder of its own.
#pragma once

#include "tests/io/files.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace ganmm::test {

using io::test::check_contains;
using io::test::contents;

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

// A folder that the program is run in.
class Workplace {
 public:
  Outcome run(const std::string& arguments) const { return shell(GANMM_BINARY " " + arguments); }

  Outcome shell(const std::string& command) const {
    const std::string line = "cd '" + folder_.file("") + "' && " + command + " >'" +
                             streams_.file("out") + "' 2>'" + streams_.file("err") + "'";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, contents(streams_.file("out")),
            contents(streams_.file("err"))};
  }

  std::string write(const std::string& name, const std::string& bytes) const {
    return folder_.write(name, bytes);
  }
  std::string read(const std::string& name) const {
    INFO("file ", name);
    CHECK(exists(name));
    return contents(folder_.file(name));
  }
  bool exists(const std::string& name) const { return std::filesystem::exists(folder_.file(name)); }
  std::size_t entries() const { return folder_.files(); }
  std::filesystem::path path(const std::string& name) const { return folder_.file(name); }

 private:
  io::test::TempFolder folder_;
  io::test::TempFolder streams_;
};

// Nothing on stderr but the warning that short trainings may well deserve.
inline void check_no_error(const Outcome& outcome) {
  INFO("stderr: ", outcome.err);
  const bool warned = outcome.err.starts_with("ganmm: warning: this clustering looks degenerate") &&
                      std::ranges::count(outcome.err, '\n') == 1;
  CHECK((outcome.err.empty() || warned));
}

inline void check_success(const Outcome& outcome) {
  check_no_error(outcome);
  CHECK(outcome.code == 0);
}

inline void check_refused(const Outcome& outcome, int code, const std::string& part) {
  CHECK(outcome.code == code);
  CHECK(outcome.out.empty());
  REQUIRE_FALSE(outcome.err.empty());
  CHECK(outcome.err.rfind("ganmm: ", 0) == 0);
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  CHECK(outcome.err.back() == '\n');
  check_contains(outcome.err, part);
}

}  // namespace ganmm::test
