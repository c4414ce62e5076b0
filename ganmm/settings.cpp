#include "ganmm/settings.h"

#include "ganmm/consensus.h"
#include "ganmm/problems.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <sstream>

namespace ganmm {
namespace {

constexpr Index kMaxSample = Index{1} << 19;
constexpr Index kMaxSteps = Index{1} << 32;  // steps enter the random numbers as 32 bits

template <class E>
struct Name {
  E value;
  const char* name;
};

constexpr std::array kMethods{Name{Method::ganmm, "ganmm"}, Name{Method::ganmm_em, "ganmm-em"},
                              Name{Method::kmeans, "kmeans"}, Name{Method::gmm, "gmm"},
                              Name{Method::dec, "dec"}};
constexpr std::array kCovariances{Name{Covariance::full, "full"}, Name{Covariance::tied, "tied"},
                                  Name{Covariance::diag, "diag"},
                                  Name{Covariance::spherical, "spherical"}};
constexpr std::array kNets{Name{NetKind::automatic, "auto"}, Name{NetKind::mlp, "mlp"},
                           Name{NetKind::small, "small"}, Name{NetKind::codes, "codes"},
                           Name{NetKind::conv, "conv"}};
constexpr std::array kObjectives{Name{Objective::wgan_gp, "wgan-gp"},
                                 Name{Objective::wgan_clip, "wgan-clip"},
                                 Name{Objective::gan, "gan"}};
constexpr std::array kCriticScores{
    Name{CriticScore::raw, "raw"}, Name{CriticScore::centred, "centred"},
    Name{CriticScore::standardized, "standardized"}, Name{CriticScore::share, "share"}};
constexpr std::array kSelects{Name{Select::confidence, "confidence"},
                              Name{Select::consensus, "consensus"}, Name{Select::all, "all"}};
constexpr std::array kInits{
    Name{InitialPartition::random, "random"}, Name{InitialPartition::kmeans, "kmeans"},
    Name{InitialPartition::gmm, "gmm"}, Name{InitialPartition::mixed, "mixed"},
    Name{InitialPartition::given, "file"}};

constexpr std::array kStarts{Name{GeneratorStart::automatic, "auto"},
                             Name{GeneratorStart::random, "random"},
                             Name{GeneratorStart::gaussian, "gaussian"}};

template <class Names>
auto parse(const char* what, const Names& names, const std::string& text) {
  std::string choices;
  for (const auto& entry : names) {
    if (text == entry.name) return entry.value;
    choices += (choices.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw ConfigError(message(what, " '", text, "': expected one of ", choices));
}

template <class Names, class E>
std::string name_of(const Names& names, E value) {
  for (const auto& entry : names) {
    if (entry.value == value) return entry.name;
  }
  return "unknown";
}

Settings resolved_baseline(Settings s, Index rows) {
  if (s.restarts == 0) s.restarts = s.method == Method::gmm ? 1 : s.method == Method::dec ? 20 : 10;
  Problems problems;
  problems.expect(rows <= kMaxRows, "data: expected at most ", kMaxRows, " rows, found ", rows);
  problems.expect(s.clusters >= 1, "clusters (-k): expected at least 1, found ", s.clusters);
  problems.expect(s.clusters <= rows, "clusters (-k): expected at most the ", rows, " rows, found ",
                  s.clusters);
  problems.expect(s.restarts >= 1 && s.restarts <= 4096, "restarts: expected 1 to 4096, found ",
                  s.restarts);
  problems.expect(s.iterations >= 1 && s.iterations <= 1000000000,
                  "iterations: expected 1 to 1000000000, found ", s.iterations);
  problems.expect(s.tolerance >= 0 && std::isfinite(s.tolerance),
                  "tolerance: expected a finite number >= 0, found ", s.tolerance);
  problems.expect(s.regularization >= 0 && std::isfinite(s.regularization),
                  "regularization: expected a finite number >= 0, found ", s.regularization);
  problems.expect(s.refresh >= 0, "refresh: expected 0 (automatic) or more, found ", s.refresh);
  problems.report();
  if (s.method != Method::dec) return s;
  if (s.learning_rate == 0) s.learning_rate = DecSettings().learning_rate;
  problems.expect(s.learning_rate > 0 && std::isfinite(s.learning_rate),
                  "learning rate: expected a finite number > 0, found ", s.learning_rate);
  problems.report();
  s.epochs = s.autoencoder().resolved(rows).epochs;
  s.batch = std::min(s.batch, rows);
  s.pretrain = s.epochs * steps_per_epoch(rows, s.batch);
  return s;
}

}  // namespace

Method parse_method(const std::string& name) { return parse("method", kMethods, name); }
Covariance parse_covariance(const std::string& name) {
  return parse("covariance", kCovariances, name);
}
NetKind parse_net(const std::string& name) { return parse("net", kNets, name); }
Objective parse_objective(const std::string& name) { return parse("objective", kObjectives, name); }
CriticScore parse_critic_score(const std::string& name) {
  return parse("critic score", kCriticScores, name);
}
GeneratorStart parse_start(const std::string& name) {
  return parse("generator start", kStarts, name);
}
Select parse_select(const std::string& name) { return parse("selection", kSelects, name); }
std::string to_string(Method method) { return name_of(kMethods, method); }
std::string to_string(Covariance covariance) { return name_of(kCovariances, covariance); }
std::string to_string(NetKind kind) { return name_of(kNets, kind); }
std::string to_string(Objective objective) { return name_of(kObjectives, objective); }
std::string to_string(CriticScore score) { return name_of(kCriticScores, score); }
std::string to_string(Select select) { return name_of(kSelects, select); }
std::string to_string(GeneratorStart start) { return name_of(kStarts, start); }
std::string to_string(InitialPartition init) { return name_of(kInits, init); }

std::vector<SigmaStep> parse_sigma(const std::string& text) {
  std::vector<SigmaStep> steps;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    SigmaStep step;
    const char* end = part.data() + part.size();
    std::from_chars_result read = std::from_chars(part.data(), end, step.foreign);
    if (read.ec == std::errc{} && read.ptr != end && *read.ptr == ':') {
      read = std::from_chars(read.ptr + 1, end, step.until);
      require<ConfigError>(step.until > 0, "sigma '", text,
                           "': expected an iteration after ':' in '", part, "'");
    }
    require<ConfigError>(read.ec == std::errc{} && read.ptr == end, "sigma '", text,
                         "': expected SHARE:ITERATION,...,SHARE, found '", part, "'");
    steps.push_back(step);
  }
  require<ConfigError>(!steps.empty() && steps.back().until == 0, "sigma '", text,
                       "': expected a last share without an iteration, such as 0.5:500,0.04");
  return steps;
}

std::string to_string(const std::vector<SigmaStep>& sigma) {
  std::ostringstream text;
  for (const SigmaStep& step : sigma) {
    text << (&step == sigma.data() ? "" : ",") << step.foreign;
    if (step.until > 0) text << ':' << step.until;
  }
  return text.str();
}

std::vector<Index> parse_widths(const std::string& text) {
  std::vector<Index> widths;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const char* end = part.data() + part.size();
    const auto read = std::from_chars(part.data(), end, widths.emplace_back());
    require<ConfigError>(read.ec == std::errc{} && read.ptr == end, "widths '", text,
                         "': expected numbers such as --encoder 8,16, found '", part, "'");
  }
  return widths;
}

std::string to_string(const std::vector<Index>& widths) {
  std::string text;
  for (const Index width : widths) text += (text.empty() ? "" : ",") + std::to_string(width);
  return text;
}

Settings Settings::resolved(Index rows, Shape item) const {
  if (!trains_gans(method)) return resolved_baseline(*this, rows);
  Settings s = *this;
  Problems problems;
  const auto expect = [&](bool good, const auto&... parts) { problems.expect(good, parts...); };
  const bool image = item.rank() == 3;
  if (s.net == NetKind::automatic) {
    const bool plain = s.method == Method::ganmm && s.objective != Objective::wgan_clip;
    s.net = !image || item[0] < 8 || item[1] < 8 ? NetKind::mlp
            : plain                              ? NetKind::codes
                                                 : NetKind::conv;
  }
  if (s.net == NetKind::small) s.hidden = 32;
  const bool mixed = s.init == InitialPartition::mixed && s.net != NetKind::conv;
  if (s.restarts == 0) {
    s.restarts = s.net == NetKind::conv || s.critics_assign() ? 1 : mixed ? 32 : 8;
  }
  if (s.init == InitialPartition::mixed && (!mixed || s.restarts == 1)) {
    s.init = mixed ? InitialPartition::gmm : InitialPartition::random;
  }
  if (s.noise == 0) s.noise = s.net == NetKind::conv ? 128 : 64;
  if (s.learning_rate == 0) s.learning_rate = s.objective == Objective::wgan_clip ? 5e-5 : 2e-4;
  if (s.init != InitialPartition::mixed) {  // those of its restarts differ
    const bool warm = s.init != InitialPartition::random && s.net != NetKind::conv;
    if (s.net == NetKind::conv) s.start = GeneratorStart::random;
    if (s.start == GeneratorStart::automatic) {
      s.start = warm ? GeneratorStart::gaussian : GeneratorStart::random;
    }
    if (s.generator_learning_rate == 0) {
      s.generator_learning_rate = warm ? 0.025 * s.learning_rate : s.learning_rate;
    }
    if (s.sigma.empty()) {
      // Until a tenth, a fifth and two fifths of the run, as far as it has so many iterations.
      const std::array<SigmaStep, 3> steps{
          {{s.iterations / 10, 0.5}, {s.iterations / 5, 0.2}, {2 * s.iterations / 5, 0.1}}};
      for (const SigmaStep& step : steps) {
        const Index before = s.sigma.empty() ? 0 : s.sigma.back().until;
        if (!warm && step.until > before) s.sigma.push_back(step);
      }
      s.sigma.push_back({0, 0.04});
    }
  }
  if (s.classifier_learning_rate == 0) {
    // On images a classifier this quick tells the generators apart by their artefacts and locks the
    // partition in.
    const bool quick = s.objective != Objective::wgan_clip && s.net != NetKind::conv;
    s.classifier_learning_rate = quick ? 1e-3 : s.learning_rate;
  }

  if (s.critics_assign()) {
    s.classifier_steps = 0;
    expect(s.sigma.size() == 1 && s.sigma[0].foreign == 0, "sigma: expected 0 with method ",
           to_string(s.method), ", which trains components on their own rows alone, found ",
           to_string(s.sigma));
    expect(s.net != NetKind::conv || s.objective != Objective::wgan_clip, "method ",
           to_string(s.method), ": expected critics that score a row by itself, found those of ",
           "conv nets under wgan-clip, which have batch norm; use --objective wgan-gp or gan");
    expect(s.critic_score != CriticScore::share || s.objective == Objective::gan,
           "critic score: expected share with objective gan alone, whose scores are log ratios of ",
           "densities, found it with ", to_string(s.objective), "; use --objective gan");
  }

  expect(rows <= kMaxRows, "data: expected at most ", kMaxRows, " rows, found ", rows);
  expect(s.clusters >= 1, "clusters (-k): expected at least 1, found ", s.clusters);
  expect(s.clusters <= rows, "clusters (-k): expected at most the ", rows, " rows, found ",
         s.clusters);
  expect(s.restarts >= 1 && s.restarts <= 4096, "restarts: expected 1 to 4096, found ", s.restarts);
  expect(s.net != NetKind::conv || image,
         "net conv: expected images ([n,H,W] or [n,H,W,C]), found rows of ", item.count(),
         " features; use --net mlp");
  expect(s.hidden >= 1 && s.hidden <= 65536, "hidden: expected 1 to 65536, found ", s.hidden);
  expect(s.width >= 1 && s.width <= 4096, "width: expected 1 to 4096, found ", s.width);
  expect(s.noise >= 1 && s.noise <= 65536, "noise: expected 1 to 65536, found ", s.noise);
  expect(s.learning_rate > 0 && std::isfinite(s.learning_rate),
         "learning rate: expected a finite number > 0, found ", s.learning_rate);
  expect(s.classifier_learning_rate > 0 && std::isfinite(s.classifier_learning_rate),
         "classifier learning rate: expected a finite number > 0, found ",
         s.classifier_learning_rate);
  expect(s.penalty >= 0 && std::isfinite(s.penalty),
         "penalty: expected a finite number >= 0, found ", s.penalty);
  expect(s.clip > 0 && std::isfinite(s.clip), "clip: expected a finite number > 0, found ", s.clip);
  expect(s.critic_steps >= 1 && s.critic_steps <= 1000, "critic steps: expected 1 to 1000, found ",
         s.critic_steps);
  expect(s.batch >= 2 && s.batch <= 65536, "batch: expected 2 to 65536, found ", s.batch);
  expect(s.classifier_steps >= 0 && s.classifier_steps <= 1000,
         "classifier steps: expected 0 to 1000, found ", s.classifier_steps);
  expect(s.label_smoothing >= 0 && s.label_smoothing < 1,
         "label smoothing: expected 0 <= value < 1, found ", s.label_smoothing);
  expect(s.temperature > 0 && std::isfinite(s.temperature),
         "temperature: expected a finite number > 0, found ", s.temperature);
  expect(s.pretrain >= 0 && s.pretrain <= 1000000000, "pretrain: expected 0 to 1000000000, found ",
         s.pretrain);
  expect(s.iterations >= 1 && s.iterations <= 1000000000,
         "iterations: expected 1 to 1000000000, found ", s.iterations);
  expect(s.check_every >= 1, "check interval: expected >= 1, found ", s.check_every);
  expect(s.tolerance >= 0 && s.tolerance < 1, "tolerance: expected 0 <= value < 1, found ",
         s.tolerance);
  expect(s.patience >= 1, "patience: expected >= 1, found ", s.patience);
  expect(s.refine >= 0 && s.refine <= 1000000000, "refine: expected 0 to 1000000000, found ",
         s.refine);
  if (s.sample == 0) s.sample = s.select == Select::all ? rows : kMaxSample;
  s.sample = std::min(s.sample, rows);
  expect(s.sample >= std::min(s.clusters, rows), "sample: expected at least as many rows as ",
         "clusters, or 0 (automatic), found ", s.sample);
  expect(s.sample == rows || s.select != Select::all,
         "sample: expected all rows with select all, found ", s.sample, " of ", rows);
  expect(s.pool >= 0, "pool: expected 0 (automatic) or more, found ", s.pool);
  expect(s.generator_learning_rate >= 0 && std::isfinite(s.generator_learning_rate),
         "generator learning rate: expected a finite number >= 0, found ",
         s.generator_learning_rate);
  expect(s.sigma.empty() || s.sigma.back().until == 0,
         "sigma: expected a last share without an iteration");
  for (std::size_t i = 0; i < s.sigma.size(); ++i) {
    const SigmaStep& step = s.sigma[i];
    expect(step.foreign >= 0 && step.foreign < 1, "sigma: expected shares 0 <= value < 1, found ",
           step.foreign);
    if (i + 1 == s.sigma.size()) break;
    const Index previous = i == 0 ? 0 : s.sigma[i - 1].until;
    expect(step.until > previous,
           "sigma: expected a rising iteration after every share but the last, found ", step.until,
           " after ", previous);
  }
  problems.report();
  if (s.net == NetKind::codes) s.epochs = s.autoencoder().resolved(rows).epochs;

  // What follows combines settings that are in range by themselves.
  const Index passes = std::max(s.critic_steps, s.classifier_steps);
  expect(passes == 0 || s.pretrain + s.iterations <= kMaxSteps / passes,
         "pretrain + iterations: expected at most 2^32 critic or classifier steps in all, found ",
         s.pretrain + s.iterations, " iterations of ", passes);
  if (s.select == Select::consensus && s.restarts > 1) {
    expect(s.restarts * s.clusters <= kMaxConsensusCells / s.clusters,
           "consensus: expected restarts x clusters^2 of at most ", kMaxConsensusCells, ", found ",
           s.restarts, " x ", s.clusters, "^2; use --select confidence");
  }
  problems.report();
  if (s.clusters == 1) s.sigma = {{0, 0.0}};  // there are no rows of others
  if (s.pool == 0) s.pool = std::max<Index>(500 * s.clusters, 5000);
  s.pool = std::min(s.pool, s.sample);
  return s;
}

Settings Settings::of(Method method) {
  Settings s;
  s.method = method;
  if (method == Method::ganmm) {
    s.init = InitialPartition::mixed;
    s.iterations = 2500;
  } else if (method == Method::ganmm_em) {
    s.select = Select::confidence;
    s.sigma = {{0, 0.0}};
  } else if (method == Method::kmeans) {
    s.iterations = 300;
    s.tolerance = 1e-4;
  } else if (method == Method::gmm) {
    s.iterations = 100;
    s.tolerance = 1e-3;
  } else if (method == Method::dec) {
    const DecSettings dec;
    s.iterations = dec.iterations;
    s.tolerance = dec.tolerance;
    s.batch = dec.batch;
  }
  return s;
}

Settings Settings::reference() {
  Settings s;
  s.objective = Objective::wgan_clip;
  s.restarts = 1;
  s.select = Select::confidence;
  s.learning_rate = 5e-5;
  s.double_softmax = true;
  s.single_class_batches = true;
  s.freeze_readout = true;
  s.clip_in_pretraining = false;
  s.restart_empty = false;
  s.pretrain = 500;
  s.sigma = {{500, 0.5}, {1000, 0.2}, {2000, 0.1}, {0, 0.04}};
  return s;
}

AutoencoderSettings Settings::autoencoder() const {
  return {.hidden = encoder,
          .codes = codes,
          .epochs = epochs,
          .batch = trains_gans(method) ? AutoencoderSettings().batch : batch,
          .noise = corruption,
          .warp = warp,
          .seed = seed};
}

DecSettings Settings::dec() const {
  return {.clusters = clusters,
          .restarts = restarts,
          .iterations = iterations,
          .refresh = refresh,
          .batch = batch,
          .tolerance = tolerance,
          .learning_rate = learning_rate,
          .seed = seed};
}

kernels::OptimizerSettings Settings::optimizer() const {
  kernels::OptimizerSettings o;
  o.learning_rate = generator_learning_rate;
  if (objective == Objective::wgan_clip) {
    o.kind = kernels::OptimizerKind::rmsprop;
    o.beta2 = 0.9;
    o.epsilon = 1e-10;
  }
  return o;
}

kernels::OptimizerSettings Settings::critic_optimizer() const {
  auto o = optimizer();
  o.learning_rate = learning_rate;
  if (objective == Objective::wgan_clip) o.clip = clip;
  return o;
}

kernels::OptimizerSettings Settings::classifier_optimizer() const {
  auto o = optimizer();
  o.learning_rate = classifier_learning_rate;
  return o;
}

}  // namespace ganmm
