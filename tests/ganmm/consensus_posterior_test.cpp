#include "ganmm/consensus.h"
#include "ganmm/consensus_posterior.h"
#include "kernels/core/error.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

using namespace ganmm;

namespace {

using Labels = std::vector<std::int32_t>;
using Values = std::vector<float>;

Values one_hot(const std::int32_t* labels, std::size_t points, std::size_t clusters) {
  Values rows(points * clusters, 0.0f);
  for (std::size_t p = 0; p < points; ++p) {
    rows[p * clusters + static_cast<std::size_t>(labels[p])] = 1;
  }
  return rows;
}

// Of points whose components are certain.
Values posteriors(const Labels& components, const Values& joint, Index mixtures, Index clusters) {
  const ConsensusPosterior clustering(joint, mixtures, clusters);
  const std::size_t points = components.size() / static_cast<std::size_t>(mixtures);
  Values result(points * static_cast<std::size_t>(clusters));
  clustering.begin(result);
  for (Index r = 0; r < mixtures; ++r) {
    clustering.add(r,
                   one_hot(components.data() + r * static_cast<Index>(points), points,
                           static_cast<std::size_t>(clusters)),
                   result);
  }
  clustering.finish(result);
  return result;
}

Labels largest(const Values& rows, std::size_t clusters) {
  Labels result;
  for (auto row = rows.begin(); row != rows.end(); row += static_cast<Index>(clusters)) {
    result.push_back(
        static_cast<std::int32_t>(std::max_element(row, row + static_cast<Index>(clusters)) - row));
  }
  return result;
}

}  // namespace

TEST_CASE("joint shares: of all points, those in a component and a cluster") {
  // Eight points; component 2 of the second mixture has none.
  const Labels components{0, 0, 0, 0, 1, 1, 2, 2, /**/ 1, 1, 0, 0, 0, 0, 0, 0};
  const Labels clusters{2, 2, 2, 0, 1, 1, 0, 1};
  CHECK(joint_shares(components, clusters, 2, 3) ==
        Values{0.125f, 0, 0.375f, 0, 0.25f, 0, 0.125f, 0.125f, 0,  // first mixture
               0.25f, 0.375f, 0.125f, 0, 0, 0.25f, 0, 0, 0});
  CHECK_THROWS_AS((void)joint_shares(components, clusters, 1, 3), ShapeError);
}

TEST_CASE("consensus posterior: soft k-means around the means of the lists of labels") {
  const Labels components{0, 0, 1, 1, /**/ 1, 1, 1, 0};
  const Labels clusters{0, 0, 1, 1};
  const Values p = posteriors(components, joint_shares(components, clusters, 2, 2), 2, 2);
  // Means (1 0 | 0 1) and (0 1 | .5 .5). Squared distances over R: the first two points 0 and
  // 1.25, the third 1 and .25, the last 2 and .25; so w = 1/8.
  const auto expected = [](double own, double other) {
    return 1 / (1 + std::exp(8 * (own - other)));
  };
  CHECK(static_cast<double>(p[0]) == doctest::Approx(expected(0, 1.25)));
  CHECK(static_cast<double>(p[2]) == doctest::Approx(expected(0, 1.25)));
  CHECK(static_cast<double>(p[5]) == doctest::Approx(expected(0.25, 1)));
  CHECK(static_cast<double>(p[7]) == doctest::Approx(expected(0.25, 2)));
  for (std::size_t i = 0; i < p.size(); i += 2) {
    CHECK(static_cast<double>(p[i] + p[i + 1]) == doctest::Approx(1));
  }
}

TEST_CASE("consensus posterior: points keep the cluster of the consensus, in small ones too") {
  // Twelve restarts of 20, 300 and 600 points; a fifth of the labels is wrong, and in a third of
  // the restarts the small cluster is part of the large one.
  constexpr Index kClusters = 3, kRestarts = 12;
  std::mt19937 random(5);
  Labels planted;
  for (const auto& [cluster, points] : {std::pair{0, 20}, std::pair{1, 300}, std::pair{2, 600}}) {
    planted.insert(planted.end(), static_cast<std::size_t>(points), cluster);
  }
  Labels components;
  for (Index r = 0; r < kRestarts; ++r) {
    for (const std::int32_t own : planted) {
      const bool wrong = random() % 5 == 0;
      const std::int32_t label = r % 3 == 0 && own == 0 ? 2 : own;
      components.push_back(wrong ? static_cast<std::int32_t>(random() % 3) : label);
    }
  }
  const Labels clusters = consensus(components, kRestarts, kClusters);
  const Values joint = joint_shares(components, clusters, kRestarts, kClusters);
  CHECK(largest(posteriors(components, joint, kRestarts, kClusters), 3) == clusters);
  CHECK(std::ranges::count(clusters, 2) >= 18);
}

TEST_CASE("consensus posterior: one mixture is its own, a cluster without points has none") {
  const Labels alone{0, 0, 2};
  const ConsensusPosterior single(joint_shares(alone, alone, 1, 3), 1, 3);
  const Values rows{0.25f, 0.5f, 0.25f, 0.125f, 0, 0.875f};
  Values result(rows.size());
  single.begin(result);
  single.add(0, rows, result);
  single.finish(result);
  CHECK(result == rows);

  const Labels twice{0, 0, 2, /**/ 0, 0, 2};  // both the same: certain
  CHECK(posteriors(twice, joint_shares(twice, alone, 2, 3), 2, 3) ==
        Values{1, 0, 0, 1, 0, 0, 0, 0, 1});
}
