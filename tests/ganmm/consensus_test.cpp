#include "ganmm/consensus.h"
#include "ganmm/metrics.h"
#include "kernels/core/error.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

using namespace ganmm;

namespace {

using Labels = std::vector<std::int32_t>;
using Tuples = std::vector<std::string>;  // per point, a digit per restart

// [R][n] from a tuple per point.
Labels partitions_of(const Tuples& tuples) {
  Labels partitions;
  for (std::size_t r = 0; r < tuples[0].size(); ++r) {
    for (const std::string& tuple : tuples) partitions.push_back(tuple[r] - '0');
  }
  return partitions;
}

Labels consensus_of(const Tuples& tuples, Index clusters) {
  return consensus(partitions_of(tuples), std::ssize(tuples[0]), clusters);
}

// Sum of squared distances of the indicator vectors from the means of their clusters: over pairs of
// points of a cluster, the differing labels (two coordinates each), over the cluster's size.
double spread(const Tuples& tuples, const Labels& cluster) {
  std::array<double, 10> size{};
  for (const std::int32_t c : cluster) size[static_cast<std::size_t>(c)] += 1;
  double total = 0;
  for (std::size_t i = 0; i < tuples.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (cluster[i] != cluster[j]) continue;
      double differing = 0;
      for (std::size_t r = 0; r < tuples[i].size(); ++r) differing += tuples[i][r] != tuples[j][r];
      total += 2 * differing / size[static_cast<std::size_t>(cluster[i])];
    }
  }
  return total;
}

// Restarts of a planted partition: names shuffled, a share of the points sent anywhere.
Tuples noisy_restarts(const Labels& planted, std::size_t restarts, std::int32_t clusters,
                      double noise, std::mt19937& random) {
  Tuples tuples(planted.size(), std::string(restarts, '0'));
  std::uniform_real_distribution<double> uniform;
  for (std::size_t r = 0; r < restarts; ++r) {
    std::string names = std::string("0123456789").substr(0, static_cast<std::size_t>(clusters));
    std::shuffle(names.begin(), names.end(), random);
    for (std::size_t i = 0; i < planted.size(); ++i) {
      const bool strays = uniform(random) < noise;
      const std::size_t label =
          strays ? random() % names.size() : static_cast<std::size_t>(planted[i]);
      tuples[i][r] = names[label];
    }
  }
  return tuples;
}

Labels planted_labels(std::size_t points, std::int32_t clusters) {
  Labels labels(points);
  for (std::size_t i = 0; i < points; ++i) {
    labels[i] = static_cast<std::int32_t>(i) % clusters;
  }
  return labels;
}

}  // namespace

TEST_CASE("consensus: restarts that agree give their partition, the largest cluster first") {
  // Three times the same partition under other names, clusters of 2, 3, 1 and 3 points.
  const Tuples tuples = {"201", "112", "201", "112", "330", "023", "112", "023", "023"};
  const Labels expected = {2, 0, 2, 0, 3, 1, 0, 1, 1};
  CHECK(consensus_of(tuples, 4) == expected);
  CHECK(consensus_of({"2", "1", "2", "1", "3", "0", "1", "0", "0"}, 4) == expected);
}

TEST_CASE("consensus: recovers planted clusters from restarts that each miss many points") {
  std::mt19937 random(4);
  const Labels planted = planted_labels(300, 5);
  const Tuples tuples = noisy_restarts(planted, 25, 5, 0.4, random);
  CHECK(score(consensus_of(tuples, 5), planted).ari > 0.97);
  const Labels partitions = partitions_of(tuples);
  CHECK(score(std::span(partitions).first(300), planted).ari < 0.6);
}

TEST_CASE("consensus: of restarts of which each alone says little") {
  // Three points of five are anywhere; two restarts have hardly a pair in common.
  const Labels planted = planted_labels(200, 8);
  double mean = 0;
  for (unsigned seed = 0; seed < 10; ++seed) {
    std::mt19937 random(seed);
    const Tuples tuples = noisy_restarts(planted, 25, 8, 0.6, random);
    mean += score(consensus_of(tuples, 8), planted).ari / 10;
  }
  CHECK(mean > 0.7);
}

TEST_CASE("consensus: the names of clusters within a restart do not matter") {
  std::mt19937 random(5);
  const Labels planted = planted_labels(200, 4);
  const Tuples tuples = noisy_restarts(planted, 61, 4, 0.5, random);
  Tuples renamed = tuples;
  for (std::size_t r = 0; r < 61; ++r) {
    std::string names = "0123";
    std::shuffle(names.begin(), names.end(), random);
    for (std::string& tuple : renamed) tuple[r] = names[static_cast<std::size_t>(tuple[r] - '0')];
  }
  CHECK(consensus_of(renamed, 4) == consensus_of(tuples, 4));
}

// Lloyd's iteration need not find the best of all partitions, but it mostly does where there are so
// few, and no restart may be better than the result.
TEST_CASE("consensus: no restart has a smaller spread, mostly no partition has") {
  std::mt19937 random(8);
  int best_of_all = 0;
  for (int trial = 0; trial < 50; ++trial) {
    CAPTURE(trial);
    const Tuples tuples = noisy_restarts(planted_labels(9, 3), 5, 3, 0.5, random);
    const Labels result = consensus_of(tuples, 3);
    const double reached = spread(tuples, result);
    for (std::size_t r = 0; r < 5; ++r) {
      Labels restart;
      for (const std::string& tuple : tuples) restart.push_back(tuple[r] - '0');
      CHECK(reached <= spread(tuples, restart) + 1e-9);
    }
    double least = 1e9;  // of all 3^9 partitions
    Labels any(9, 0);
    for (int code = 0; code < 19683; ++code) {
      int rest = code;
      for (std::int32_t& label : any) {
        label = rest % 3;
        rest /= 3;
      }
      least = std::min(least, spread(tuples, any));
    }
    CHECK(reached >= least - 1e-9);
    best_of_all += reached < least + 1e-9;
  }
  CHECK(best_of_all > 30);
}

TEST_CASE("consensus: a cluster that some restarts merge survives, whoever strays") {
  // Clusters 0 and 1 and the halves of cluster 2. Five restarts find the clusters, four merge 0
  // with 1 and split 2. The last point is somewhere else every time.
  Tuples tuples(10, "000000000");
  tuples.insert(tuples.end(), 10, "111110000");
  tuples.insert(tuples.end(), 10, "222221111");
  tuples.insert(tuples.end(), 10, "222222222");
  tuples.push_back("012010122");
  Labels truth(40);
  for (std::size_t i = 0; i < 40; ++i) truth[i] = std::min(2, static_cast<std::int32_t>(i / 10));
  const Labels labels = consensus_of(tuples, 3);
  CHECK(score(std::span(labels).first(40), truth).ari == 1);
}

TEST_CASE("consensus: fewer distinct lists of labels than clusters give fewer clusters") {
  CHECK(consensus_of({"00", "01", "00", "11"}, 4) == Labels{0, 1, 0, 2});
  CHECK(consensus_of({"0", "0", "0"}, 3) == Labels{0, 0, 0});
}

TEST_CASE("consensus: unusable arguments are refused with the reason") {
  const Labels partitions = {0, 1, 2, 2, 1, 0};
  CHECK_THROWS_AS((void)consensus(partitions, 0, 3), ConfigError);
  CHECK_THROWS_AS((void)consensus(partitions, 2, 0), ConfigError);
  CHECK_THROWS_AS((void)consensus(partitions, 2, 1 << 20), ConfigError);
  CHECK_THROWS_AS((void)consensus(partitions, 4, 3), ShapeError);
  CHECK_THROWS_AS((void)consensus(Labels{}, 2, 3), ShapeError);
  CHECK_THROWS_WITH_AS((void)consensus(partitions, 2, 2),
                       doctest::Contains("found 2 in restart 0 at point 2"), InputError);
}
