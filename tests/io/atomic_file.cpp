#include "io/atomic_file.h"

#include "tests/io/files.h"

#include <sys/resource.h>

#include <csignal>

using namespace ganmm;
using namespace ganmm::io;
using namespace ganmm::io::test;

TEST_CASE("atomic file: nothing appears before commit, all of it after") {
  const TempFolder folder;
  const auto path = folder.file("out");
  {
    AtomicFile file(path);
    file.stream() << "content";
    CHECK_FALSE(std::filesystem::exists(path));
    file.commit();
    CHECK(contents(path) == "content");
  }
  CHECK(folder.files() == 1);
}

TEST_CASE("atomic file: without commit the old file stays and nothing else does") {
  const TempFolder folder;
  const auto path = folder.write("out", "old");
  { AtomicFile(path).stream() << "new"; }
  CHECK(contents(path) == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("atomic file: commit replaces the old file") {
  const TempFolder folder;
  const auto path = folder.write("out", "old and longer");
  AtomicFile file(path);
  file.stream() << "new";
  file.commit();
  CHECK(contents(path) == "new");
}

TEST_CASE("atomic file: two writers of one name do not disturb each other") {
  const TempFolder folder;
  AtomicFile first(folder.file("out"));
  AtomicFile second(folder.file("out"));
  first.stream() << "first";
  second.stream() << "second";
  first.commit();
  second.commit();
  CHECK(contents(folder.file("out")) == "second");
}

TEST_CASE("atomic file: a missing folder, a folder and a device are refused") {
  const TempFolder folder;
  const auto missing = folder.file("none/out");
  const auto error = error_of<IoError>([&] { AtomicFile file(missing); });
  check_contains(error, missing);
  check_contains(error, "No such file or directory");
  CHECK_THROWS_AS(AtomicFile(folder.file("")), IoError);
  CHECK_THROWS_AS(AtomicFile("/dev/null"), IoError);
}

TEST_CASE("atomic file: a refused write throws and leaves the old file") {
  const TempFolder folder;
  const auto path = folder.write("out", "old");
  rlimit old_limit{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old_limit) == 0);
  rlimit small = old_limit;
  small.rlim_cur = 4096;
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  std::string error;
  {
    AtomicFile file(path);
    setrlimit(RLIMIT_FSIZE, &small);
    file.stream() << std::string(100'000, 'x');
    try {
      file.commit();
    } catch (const IoError& refused) {
      error = refused.what();
    }
    setrlimit(RLIMIT_FSIZE, &old_limit);
  }
  std::signal(SIGXFSZ, old_handler);
  check_contains(error, "File too large");
  CHECK(contents(path) == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("writable folder: parents are created and no probe stays") {
  const TempFolder folder;
  require_writable_folder(folder.file("a/b/c"));
  CHECK(std::filesystem::is_directory(folder.file("a/b/c")));
  CHECK(std::filesystem::is_empty(folder.file("a/b/c")));
  CHECK_NOTHROW(require_writable_folder(folder.file("a/b/c")));
}

TEST_CASE("writable folder: a file in its place and a folder that cannot be made are refused") {
  const TempFolder folder;
  const auto path = folder.write("file", "x");
  check_contains(error_of<ConfigError>([&] { require_writable_folder(path); }), path);
  CHECK_THROWS_AS(require_writable_folder(path + "/below"), ConfigError);
  CHECK_THROWS_AS(require_writable_folder("/proc/ganmm"), ConfigError);
}
