#include "ganmm/restarts.h"
#include "ganmm/settings.h"
#include "tests/support/trained.h"

#include <doctest/doctest.h>

#include <limits>

using namespace ganmm;

namespace {

Settings valid() {
  Settings s;
  s.clusters = 3;
  return s;
}

}  // namespace

TEST_CASE("settings: automatic values follow the data") {
  const Settings table = valid().resolved(100, {4});
  CHECK(table.net == NetKind::mlp);
  CHECK(table.noise == 64);
  CHECK(table.restarts == 8);
  CHECK(table.pool == 100);
  CHECK(table.sample == 100);
  CHECK(valid().resolved(1000000, {4}).sample == 524288);
  Settings all = valid();
  all.select = Select::all;
  CHECK(all.resolved(1000000, {4}).sample == 1000000);
  CHECK(table.learning_rate == 2e-4);
  CHECK(table.classifier_learning_rate == 1e-3);
  const Settings coded = valid().resolved(100000, {16, 16, 1});
  CHECK(coded.net == NetKind::codes);
  CHECK(coded.restarts == 8);
  CHECK(coded.epochs == 100);
  CHECK(coded.autoencoder().batch == 256);
  Settings clipped = valid();
  clipped.objective = Objective::wgan_clip;
  CHECK(clipped.resolved(100, {16, 16, 1}).net == NetKind::conv);
  Settings convolutions = valid();
  convolutions.net = NetKind::conv;
  const Settings images = convolutions.resolved(100000, {16, 16, 1});
  CHECK(images.noise == 128);
  CHECK(images.restarts == 1);
  CHECK(images.classifier_learning_rate == 2e-4);
  CHECK(images.pool == 5000);
  CHECK(valid().resolved(100, {5, 5, 1}).net == NetKind::mlp);
  Settings small = valid();
  small.net = NetKind::small;
  CHECK(small.resolved(100, {10}).hidden == 32);
}

TEST_CASE("settings: all problems are reported at once") {
  Settings s;
  s.clusters = 0;
  s.batch = 0;
  s.temperature = 0;
  s.net = NetKind::conv;
  const std::string text = test::problems(s);
  for (const char* part : {"clusters", "batch", "temperature", "net conv"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
  CHECK(text.find('\n') == std::string::npos);
}

TEST_CASE("settings: the number of clusters is bounded by one and the rows") {
  Settings s = valid();
  s.clusters = 100;
  CHECK(test::problems(s) == "");
  s.clusters = 101;
  CHECK(test::problems(s).find("at most the 100 rows") != std::string::npos);
  s.clusters = 0;
  CHECK(test::problems(s).find("at least 1") != std::string::npos);
  s.clusters = 1;
  CHECK(test::problems(s) == "");
  // One component has no rows of others to draw.
  CHECK(to_string(s.resolved(100, {4}).sigma) == "0");
}

TEST_CASE("settings: the sigma schedule is read and written") {
  const auto steps = parse_sigma("0.5:500,0.2:1000,0.04");
  REQUIRE(steps.size() == 3);
  CHECK(steps[0].foreign == 0.5);
  CHECK(steps[0].until == 500);
  CHECK(steps[2].foreign == 0.04);
  CHECK(steps[2].until == 0);
  CHECK(to_string(steps) == "0.5:500,0.2:1000,0.04");
  CHECK(to_string(parse_sigma("0")) == "0");
  for (const char* bad : {"", "0.5:500", "x", "0.5:-3,0.1", "0.5:,0.1", "0.5:500,0.1:", "0.1 "}) {
    CAPTURE(bad);
    CHECK_THROWS_AS((void)parse_sigma(bad), ConfigError);
  }
}

TEST_CASE("settings: what is automatic follows the first partition and the length of the run") {
  Settings s;
  s.clusters = 3;
  CHECK(to_string(s.resolved(1000, {4}).sigma) == "0.5:500,0.2:1000,0.1:2000,0.04");
  CHECK(s.resolved(1000, {4}).start == GeneratorStart::random);
  CHECK(s.resolved(1000, {4}).generator_learning_rate == 2e-4);
  CHECK(s.resolved(1000, {4}).optimizer().learning_rate == 2e-4);
  s.iterations = 7;  // a tenth of it is none
  CHECK(to_string(s.resolved(1000, {4}).sigma) == "0.2:1,0.1:2,0.04");
  s.init = InitialPartition::gmm;
  const Settings warm = s.resolved(1000, {4});
  CHECK(to_string(warm.sigma) == "0.04");
  CHECK(warm.start == GeneratorStart::gaussian);
  CHECK(warm.optimizer().learning_rate == doctest::Approx(5e-6));
  CHECK(warm.critic_optimizer().learning_rate == 2e-4);
  s.net = NetKind::conv;
  const Settings images = s.resolved(1000, {8, 8, 1});
  CHECK(images.start == GeneratorStart::random);
  CHECK(images.generator_learning_rate == images.learning_rate);
}

TEST_CASE("settings: mixed restarts are two trainings, of nets for images and of one restart one") {
  Settings s = Settings::of(Method::ganmm);
  s.clusters = 3;
  const Settings resolved = s.resolved(1000, {4});
  CHECK(resolved.restarts == 32);
  const auto trainings = trainings_of(resolved, {4});
  REQUIRE(trainings.size() == 2);
  for (const Settings& training : trainings) CHECK(training.init == InitialPartition::gmm);
  CHECK(trainings[0].restarts == 16);
  CHECK(trainings[1].restarts == 16);
  CHECK(trainings[0].iterations == resolved.iterations / 2);
  CHECK(trainings[1].iterations == resolved.iterations);
  const Settings staying = trainings[0].resolved(1000, {4});
  const Settings wandering = trainings[1].resolved(1000, {4});
  CHECK(staying.generator_learning_rate == doctest::Approx(2e-4 / 40));
  CHECK(wandering.generator_learning_rate == 2e-4);
  CHECK(wandering.start == GeneratorStart::gaussian);
  s.generator_learning_rate = 1e-4;  // who asks for a rate gets it
  CHECK(trainings_of(s.resolved(1000, {4}), {4})[1].generator_learning_rate == 1e-4);
  s.generator_learning_rate = 0;
  CHECK(trainings_of(resolved, {784})[1].init == InitialPartition::kmeans);
  s.restarts = 1;
  CHECK(s.resolved(1000, {4}).init == InitialPartition::gmm);
  CHECK(trainings_of(s.resolved(1000, {4}), {4}).size() == 1);
  s.restarts = 4;
  CHECK(s.resolved(1000, {8, 8, 1}).init == InitialPartition::mixed);
  s.net = NetKind::conv;
  CHECK(s.resolved(1000, {8, 8, 1}).init == InitialPartition::random);
}

TEST_CASE("settings: a sigma schedule out of order or out of range is refused") {
  Settings s = valid();
  s.sigma = {{500, 0.5}, {400, 0.2}, {0, 0.1}};
  CHECK(test::problems(s).find("rising") != std::string::npos);
  s.sigma = {{0, 0.5}, {0, 0.1}};
  CHECK(test::problems(s).find("rising") != std::string::npos);
  s.sigma = {{0, 1.0}};
  CHECK(test::problems(s).find("sigma") != std::string::npos);
}

TEST_CASE("settings: names are parsed back and unknown ones list the choices") {
  for (const auto kind :
       {NetKind::automatic, NetKind::mlp, NetKind::small, NetKind::codes, NetKind::conv}) {
    CHECK(parse_net(to_string(kind)) == kind);
  }
  for (const auto kind : {Objective::wgan_gp, Objective::wgan_clip, Objective::gan}) {
    CHECK(parse_objective(to_string(kind)) == kind);
  }
  for (const auto kind : {Select::confidence, Select::consensus, Select::all}) {
    CHECK(parse_select(to_string(kind)) == kind);
  }
  CHECK_THROWS_WITH_AS((void)parse_net("cnn"),
                       "net 'cnn': expected one of auto, mlp, small, codes, conv", ConfigError);
}

TEST_CASE("settings: widths are read and written, DEC's automatic values follow the rows") {
  CHECK(parse_widths("500,20") == std::vector<Index>{500, 20});
  CHECK(to_string(std::vector<Index>{500, 20}) == "500,20");
  for (const char* bad : {"5,x", "5,,5", "5 ,5"}) {
    CHECK_THROWS_WITH_AS((void)parse_widths(bad), doctest::Contains("found"), ConfigError);
  }
  Settings s = Settings::of(Method::dec);
  s.clusters = 3;
  const Settings few = s.resolved(100, {4}), many = s.resolved(60000, {4});
  CHECK(few.restarts == 20);
  CHECK(few.batch == 100);
  CHECK(few.pretrain == 2000);
  CHECK(many.batch == 256);
  CHECK(many.pretrain == 100 * 234);
  s.encoder.clear();
  CHECK_THROWS_AS((void)s.resolved(100, {4}), ConfigError);
}

TEST_CASE("settings: limits that several settings share are checked before training") {
  Settings s = valid();
  s.clusters = 1000;
  s.restarts = 300;
  CHECK_THROWS_WITH_AS((void)s.resolved(1000, {4}), doctest::Contains("consensus"), ConfigError);
  s.select = Select::confidence;
  CHECK(s.resolved(1000, {4}).restarts == 300);
  s.clusters = 50;
  s.iterations = 1000000000;
  CHECK(test::problems(s).find("2^32") != std::string::npos);
  s = valid();
  s.clusters = std::numeric_limits<Index>::max();
  CHECK(test::problems(s).find("at most the 100 rows") != std::string::npos);
  s = valid();
  s.penalty = std::numeric_limits<double>::infinity();
  s.temperature = std::numeric_limits<double>::quiet_NaN();
  CHECK(test::problems(s).find("penalty") != std::string::npos);
  CHECK(test::problems(s).find("temperature") != std::string::npos);
}
