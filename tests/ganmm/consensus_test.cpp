#include "ganmm/consensus.h"
#include "ganmm/metrics.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace ganmm;

namespace {

using Labels = std::vector<std::int32_t>;
using Tuples = std::vector<std::string>;  // per point, a digit per restart

constexpr std::array kKinds = {ConsensusKind::average_linkage, ConsensusKind::voting};

struct Expected {
  Index clusters_in, clusters_out;
  Tuples tuples;
  Labels labels;
};

// Printed by metrics_expected.py with scikit-learn's agglomerative clustering.
const std::vector<Expected> kExpected = {
    {3,
     3,
     {
         "212112212010112010010202020100111212202112212210122000000212",
         "122220010002102211002021101012220011001011200022212201121111",
         "121120011102122211101001222022200001001101100102212202111110",
         "011222121120011022111122120221002222112201211200101110210220",
         "212222102020111021120000222101002220112120200011221120022200",
         "011120101020211122101110210011000210122210021000020102010121",
         "221200100102210120112022220202021000221220211201100121220121",
         "011202101122211022111221220001022221222212220100000011210120",
         "002021120210011022211122100001102012222000201221010202202210",
         "100111102010220002210210010001111102210121202011021222102002",
         "101012102102120211100102101001211002022110110200212221100021",
         "200111222210220200210210201122111101210121012011021020002012",
         "121120011102122211101001222022200001001101100102212202111110",
         "200111222210220200210210201122111101210121012011021020002012",
         "200111222210220200210210201122111101210121012011021020002012",
         "011202101122211022111221220001022221222212220100000011210120",
         "212222102020111021120000222101002220112120200011221120022200",
         "011202101122211022111221220001022221222212220100000011210120",
         "100111102010220002210210010001111102210121202011021222102002",
         "122220010002102211002021101012220011001011200022212201121111",
     },
     {1, 2, 2, 0, 0, 0, 0, 0, 0, 1, 2, 1, 2, 1, 1, 0, 0, 0, 1, 2}},
    {4,
     2,
     {
         "023123211203312101011311303232312322033110232130312102222021",
         "030031313230232202303102221313133022302200221323032330303320",
         "013131312330222203200102103303123233302130120203032330313322",
         "313203000011303130032201232100201201111011330113103002331213",
         "213200031023203132201010033230221213211121211232033022200233",
         "122101122011011320230210112331021320123312003300010232112213",
         "232013123320010321213023102023002030021322223001320223032300",
         "123010122311011220210302102321030312023300301200020100012302",
         "133232100103101123310223222121120021323032313021201030023223",
         "301122021203020110111332312321312131010120222331213322320131",
         "302230121331230202231211221131112231333102330010131023321103",
         "201122201103020211131330020200312133010121032331213121120121",
         "213200031023203132201010033230221213211121211232033022200233",
         "030031313230232202303102221313133022302200221323032330303320",
         "133232100103101123310223222121120021323032313021201030023223",
         "133232100103101123310223222121120021323032313021201030023223",
         "313203000011303130032201232100201201111011330113103002331213",
         "123010122311011220210302102321030312023300301200020100012302",
         "232013123320010321213023102023002030021322223001320223032300",
         "123010122311011220210302102321030312023300301200020100012302",
         "123010122311011220210302102321030312023300301200020100012302",
         "133232100103101123310223222121120021323032313021201030023223",
         "301122021203020110111332312321312131010120222331213322320131",
         "123010122311011220210302102321030312023300301200020100012302",
     },
     {1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0}},
    {2,
     4,
     {
         "1011111000111001000010010001011101110010100011010001000001110010101110",
         "0110100111010100110011110010100010011001010110000010011110110111010000",
         "1101001101100110101101101010100010001001011110101111101110011001111001",
         "0100110111110001110111011110010000110110001111000110011000011100100000",
         "0000001101000111011101101110100010001101011110101111111010010100111001",
         "1011110000111000000010010000111101110010100001011001100001100010101110",
         "0100010110000110110101101100100010001101011111001110111110011101010101",
         "0000000011000000111101101110100010001101011110101110011011001111010101",
         "0100101111000110110100111110100010011101111110101110111110011101010001",
         "1011111010111001100110010000011101111000101000010001000011111010101110",
         "0110100111010100110011110010100010011001010110000010011110110111010000",
         "0110100111010100110011110010100010011001010110000010011110110111010000",
         "0110100111010100110011110010100010011001010110000010011110110111010000",
         "1101001101100110101101101010100010001001011110101111101110011001111001",
         "1011110000111000000010010000111101110010100001011001100001100010101110",
         "0000000011000000111101101110100010001101011110101110011011001111010101",
         "0100010110000110110101101100100010001101011111001110111110011101010101",
         "0100010110000110110101101100100010001101011111001110111110011101010101",
     },
     {1, 2, 0, 3, 0, 1, 0, 0, 0, 1, 2, 2, 2, 0, 1, 0, 0, 0}},
};

// [R][n] from a tuple per point.
Labels partitions_of(const Tuples& tuples) {
  Labels partitions;
  for (std::size_t r = 0; r < tuples[0].size(); ++r) {
    for (const std::string& tuple : tuples) partitions.push_back(tuple[r] - '0');
  }
  return partitions;
}

Labels consensus_of(const Tuples& tuples, Index clusters_in, Index clusters_out,
                    ConsensusKind kind = ConsensusKind::average_linkage) {
  return consensus(partitions_of(tuples), std::ssize(tuples[0]), clusters_in, clusters_out, kind);
}

double similarity(const std::string& a, const std::string& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0, std::plus<>(), std::equal_to<>()) /
         static_cast<double>(a.size());
}

// Average linkage on the points themselves, every average taken afresh. Empty when a merge of
// points that differ could go two ways.
Labels naive_average_linkage(const Tuples& tuples, std::size_t clusters) {
  std::vector<std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < tuples.size(); ++i) groups.push_back({i});
  while (groups.size() > clusters) {
    double best = -1, second = -1;
    std::size_t kept = 0, gone = 0;
    for (std::size_t a = 0; a < groups.size(); ++a) {
      for (std::size_t b = a + 1; b < groups.size(); ++b) {
        double mean = 0;
        for (const std::size_t i : groups[a]) {
          for (const std::size_t j : groups[b]) mean += similarity(tuples[i], tuples[j]);
        }
        mean /= static_cast<double>(groups[a].size() * groups[b].size());
        second = std::max(second, std::min(mean, best));
        if (mean > best) {
          best = mean;
          kept = a;
          gone = b;
        }
      }
    }
    if (best < 1 - 1e-9 && best - second < 1e-9) return {};
    groups[kept].insert(groups[kept].end(), groups[gone].begin(), groups[gone].end());
    groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(gone));
  }
  for (auto& group : groups) std::sort(group.begin(), group.end());
  std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
    return a.size() != b.size() ? a.size() > b.size() : a[0] < b[0];
  });
  Labels labels(tuples.size());
  for (std::size_t k = 0; k < groups.size(); ++k) {
    for (const std::size_t i : groups[k]) labels[i] = static_cast<std::int32_t>(k);
  }
  return labels;
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

TEST_CASE("consensus: average linkage equals scikit-learn's") {
  for (const Expected& expected : kExpected) {
    CAPTURE(expected.clusters_out);
    CHECK(consensus_of(expected.tuples, expected.clusters_in, expected.clusters_out) ==
          expected.labels);
  }
}

TEST_CASE("consensus: average linkage on weighted tuples equals that on all pairs of points") {
  std::mt19937 random(3);
  int compared = 0;
  for (int trial = 0; trial < 200; ++trial) {
    CAPTURE(trial);
    const std::int32_t clusters_in = 2 + static_cast<std::int32_t>(random() % 4);
    const Tuples distinct =
        noisy_restarts(planted_labels(8, clusters_in), 61, clusters_in, 0.6, random);
    Tuples tuples;
    for (int i = 0; i < 20; ++i) tuples.push_back(distinct[random() % distinct.size()]);
    const std::size_t clusters_out = 1 + random() % 4;
    const Labels naive = naive_average_linkage(tuples, clusters_out);
    if (naive.empty()) continue;
    ++compared;
    CHECK(consensus_of(tuples, clusters_in, static_cast<Index>(clusters_out)) == naive);
  }
  CHECK(compared > 60);  // the others have ties
}

TEST_CASE("consensus: restarts that agree give their partition, the largest cluster first") {
  // Three times the same partition under other names, clusters of 2, 3, 1 and 3 points.
  const Tuples tuples = {"201", "112", "201", "112", "330", "023", "112", "023", "023"};
  const Labels expected = {2, 0, 2, 0, 3, 1, 0, 1, 1};
  for (const ConsensusKind kind : kKinds) {
    CHECK(consensus_of(tuples, 4, 4, kind) == expected);
    CHECK(consensus_of({"2", "1", "2", "1", "3", "0", "1", "0", "0"}, 4, 4, kind) == expected);
  }
}

TEST_CASE("consensus: recovers planted clusters from restarts that each miss many points") {
  std::mt19937 random(4);
  const Labels planted = planted_labels(300, 5);
  const Tuples tuples = noisy_restarts(planted, 25, 5, 0.4, random);
  for (const ConsensusKind kind : kKinds) {
    const Scores scores = score(consensus_of(tuples, 5, 5, kind), planted);
    CHECK(scores.ari > 0.97);
  }
  const Labels partitions = partitions_of(tuples);
  CHECK(score(std::span(partitions).first(300), planted).ari < 0.6);
}

TEST_CASE("consensus: voting matches clusters with all restarts, not with the medoid alone") {
  // So noisy that a match with one restart is often wrong: it alone ends at a mean ARI of .44.
  const Labels planted = planted_labels(200, 8);
  double mean = 0;
  for (unsigned seed = 0; seed < 10; ++seed) {
    std::mt19937 random(seed);
    const Tuples tuples = noisy_restarts(planted, 25, 8, 0.7, random);
    mean += score(consensus_of(tuples, 8, 8, ConsensusKind::voting), planted).ari / 10;
  }
  CHECK(mean > 0.8);
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
  for (const ConsensusKind kind : kKinds) {
    CHECK(consensus_of(renamed, 4, 4, kind) == consensus_of(tuples, 4, 4, kind));
  }
}

TEST_CASE("consensus: fewer distinct tuples than clusters wanted give fewer clusters") {
  const Labels labels = consensus_of({"00", "01", "00", "11"}, 2, 4);
  CHECK(labels == Labels{0, 1, 0, 2});
}

TEST_CASE("consensus: a tie merges the most frequent tuple first, then the smallest") {
  // 01 is as close to 00 as to 11.
  CHECK(consensus_of({"01", "11", "11", "11", "00", "00"}, 2, 2) == Labels{0, 0, 0, 0, 1, 1});
  CHECK(consensus_of({"01", "11", "11", "00", "00", "00"}, 2, 2) == Labels{0, 1, 1, 0, 0, 0});
  CHECK(consensus_of({"01", "11", "11", "00", "00"}, 2, 2) == Labels{0, 1, 1, 0, 0});
}

TEST_CASE("consensus: tuples beyond the limit join the cluster they are most similar to") {
  std::mt19937 random(6);
  const Labels planted = planted_labels(4000, 3);
  const Tuples tuples = noisy_restarts(planted, 12, 3, 0.6, random);
  std::map<std::string, std::size_t> counts;
  for (const std::string& tuple : tuples) ++counts[tuple];
  std::vector<std::pair<std::string, std::size_t>> ranked(counts.begin(), counts.end());
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  const auto limit = static_cast<std::size_t>(kMaxLinkageTuples);
  REQUIRE(ranked.size() > limit + 500);
  std::set<std::string> frequent;
  for (std::size_t i = 0; i < limit; ++i) frequent.insert(ranked[i].first);

  // The frequent tuples alone are within the limit: their partition is the plain linkage.
  Tuples core;
  for (const std::string& tuple : tuples) {
    if (frequent.contains(tuple)) core.push_back(tuple);
  }
  const Labels core_labels = consensus_of(core, 3, 3);
  const Labels labels = consensus_of(tuples, 3, 3);
  std::map<std::int32_t, std::int32_t> name;  // of a cluster of the core, in the whole
  std::size_t next = 0;
  int checked = 0;
  std::vector<std::size_t> rare;
  for (std::size_t i = 0; i < tuples.size(); ++i) {
    if (!frequent.contains(tuples[i])) {
      rare.push_back(i);
      continue;
    }
    CHECK(name.try_emplace(core_labels[next], labels[i]).first->second == labels[i]);
    ++next;
  }
  REQUIRE(name.size() == 3);
  for (std::size_t i = 0; i < rare.size(); i += 10) {
    std::array<double, 3> sum{}, size{};
    for (std::size_t j = 0; j < core.size(); ++j) {
      const auto cluster = static_cast<std::size_t>(core_labels[j]);
      sum[cluster] += similarity(tuples[rare[i]], core[j]);
      ++size[cluster];
    }
    for (std::size_t k = 0; k < 3; ++k) sum[k] /= size[k];
    const auto best = std::max_element(sum.begin(), sum.end()) - sum.begin();
    CHECK(labels[rare[i]] == name[static_cast<std::int32_t>(best)]);
    ++checked;
  }
  CHECK(checked >= 50);
}

TEST_CASE("consensus: a stray point costs average linkage a true cluster, voting keeps it") {
  // Clusters 0 and 1 and the halves of cluster 2. Five restarts find the clusters, four merge 0
  // with 1 and split 2. The last point is somewhere else every time.
  Tuples tuples(10, "000000000");
  tuples.insert(tuples.end(), 10, "111110000");
  tuples.insert(tuples.end(), 10, "222221111");
  tuples.insert(tuples.end(), 10, "222222222");
  tuples.push_back("012010122");
  Labels truth(40);
  for (std::size_t i = 0; i < 40; ++i) truth[i] = std::min(2, static_cast<std::int32_t>(i / 10));

  const Labels linked = consensus_of(tuples, 3, 3);
  CHECK(std::count(linked.begin(), linked.end(), linked.back()) == 1);
  CHECK(linked[0] == linked[10]);
  const Labels voted = consensus_of(tuples, 3, 3, ConsensusKind::voting);
  CHECK(score(std::span(voted).first(40), truth).ari == 1);
}

TEST_CASE("consensus: a tie between votes goes to the medoid's label") {
  // Restarts 0 and 1 are equally central; 0 is the medoid and decides the third point.
  const Labels labels =
      consensus_of({"00", "00", "01", "11", "11", "11"}, 2, 2, ConsensusKind::voting);
  CHECK(labels == Labels{0, 0, 0, 1, 1, 1});
}

GANMM_DEVICE_CASE("consensus: partitions in the memory of a device are voted on there") {
  const Index points = 700, clusters = 5;
  std::mt19937 engine(9);
  for (const Index restarts : {1, 2, 6}) {
    CAPTURE(restarts);
    Labels partitions;  // the planted cluster under another name, or, for every third, any cluster
    for (Index r = 0; r < restarts; ++r) {
      for (Index p = 0; p < points; ++p) {
        const auto any = static_cast<Index>(engine() % 5);
        partitions.push_back(static_cast<std::int32_t>((engine() % 3 == 0 ? any : p + r) % 5));
      }
    }
    const test::GuardBuffer<std::int32_t> buffer(ctx, partitions);
    const Labels voted = consensus_by_voting(ctx, buffer.data(), restarts, points, clusters);
    CHECK(voted == consensus(partitions, restarts, clusters, clusters, ConsensusKind::voting));
    CHECK(static_cast<Index>(voted.size()) == points);
  }
  CHECK_THROWS_AS(consensus_by_voting(ctx, nullptr, 1, 0, clusters), ShapeError);
  CHECK_THROWS_AS(consensus_by_voting(ctx, nullptr, 0, points, clusters), ConfigError);
}

TEST_CASE("consensus: the medoid is the restart that agrees most with the others") {
  std::mt19937 random(7);
  const Labels planted = planted_labels(120, 4);
  Labels partitions;
  const std::array noise = {0.6, 0.5, 0.1, 0.7, 0.4};
  for (const double share : noise) {
    const Labels restart = partitions_of(noisy_restarts(planted, 1, 4, share, random));
    partitions.insert(partitions.end(), restart.begin(), restart.end());
  }
  CHECK(medoid(partitions, 5, 4) == 2);
  CHECK(medoid(planted, 1, 4) == 0);
  CHECK(medoid(Labels{0, 1, 1, 0}, 2, 2) == 0);
}

TEST_CASE("consensus: unusable arguments are refused with the reason") {
  const Labels partitions = {0, 1, 2, 2, 1, 0};
  CHECK_THROWS_AS(consensus(partitions, 0, 3, 3), ConfigError);
  CHECK_THROWS_AS(consensus(partitions, 2, 0, 3), ConfigError);
  CHECK_THROWS_AS(consensus(partitions, 2, 3, 0), ConfigError);
  CHECK_THROWS_AS(consensus(partitions, 2, 3, kMaxLinkageTuples + 1), ConfigError);
  CHECK_THROWS_AS(consensus(partitions, 2, 3, 2, ConsensusKind::voting), ConfigError);
  CHECK_THROWS_AS(consensus(partitions, 2, 1 << 20, 1 << 10), ConfigError);
  CHECK_THROWS_AS(medoid(partitions, 2, 1 << 20), ConfigError);
  CHECK_THROWS_AS(consensus(partitions, 4, 3, 3), ShapeError);
  CHECK_THROWS_AS(consensus(Labels{}, 2, 3, 3), ShapeError);
  CHECK_THROWS_WITH_AS(consensus(partitions, 2, 2, 2),
                       doctest::Contains("found 2 in restart 0 at point 2"), InputError);
  CHECK_THROWS_AS(medoid(Labels{0, -1}, 1, 2), InputError);
}
