#!/usr/bin/env python3
"""Prints the expected values in metrics_test.cpp.

Needs numpy, scipy and scikit-learn (written with 1.9.1). Run it by hand after adding a case and
paste the output into the tests; the tests themselves do not need Python.
"""
from fractions import Fraction

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

# Rows are clusters, columns labels.
TABLES = {
    "perfect": [[3, 0], [0, 5]],
    "swapped names": [[0, 5], [3, 0]],
    "one cluster, one label": [[7]],
    "one point": [[1]],
    "one cluster, several labels": [[4, 2, 1]],
    "several clusters, one label": [[4], [2], [1]],
    "all singletons": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "singleton clusters, two labels": [[1, 0], [1, 0], [0, 1], [0, 1]],
    "independent": [[4, 4], [4, 4]],
    "below chance": [[1, 1], [1, 1]],
    "unbalanced": [[900, 30, 5], [60, 40, 1], [3, 2, 20]],
    "many-to-one": [[50, 3, 1], [40, 2, 2], [5, 45, 45]],
    "more clusters than labels": [[10, 2], [8, 1], [3, 12], [0, 9], [1, 1]],
    "more labels than clusters": [[10, 8, 3, 0, 1], [2, 1, 12, 9, 1]],
    "greedy choice is not the best": [[10, 9], [9, 0]],
    "ten by ten": [[(7 * i + 3 * j * j + i * j) % 23 + 60 * (i == (3 * j + 1) % 10)
                    for j in range(10)] for i in range(10)],
}


def metrics_case(name, table):
    table = np.array(table)
    cells = np.argwhere(table >= 0)
    clusters, labels = np.repeat(cells, table[table >= 0], axis=0).T
    purity = table.max(1).sum() / table.sum()
    accuracy = table[linear_sum_assignment(-table)].sum() / table.sum()
    values = [purity, adjusted_rand_score(labels, clusters),
              normalized_mutual_info_score(labels, clusters, average_method="geometric"),
              normalized_mutual_info_score(labels, clusters), accuracy]
    rows = ", ".join("{" + ", ".join(map(str, row)) + "}" for row in table.tolist())
    print(f'{{"{name}", {{{rows}}}, ' + ", ".join(f"{v:.17g}" for v in values) + "},")


def exact_ari(table):
    """From pair counts in integers of any size, for tables too large to list their points."""
    def pairs(counts):
        return sum(c * (c - 1) // 2 for c in counts)
    both = pairs(c for row in table for c in row)
    rows, columns = pairs(map(sum, table)), pairs(map(sum, zip(*table)))
    expected = Fraction(rows * columns, pairs([sum(map(sum, table))]))
    return float((both - expected) / (Fraction(rows + columns, 2) - expected))


print("// metrics_test.cpp")
for case in TABLES.items():
    metrics_case(*case)
print("a billion points:", exact_ari([[400000000, 100000001], [99999999, 400000000]]))
