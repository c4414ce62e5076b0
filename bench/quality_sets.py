#!/usr/bin/env python3
"""Writes small public data sets as CSV with the class last: quality_sets.py OUT_FOLDER [MLBENCH_DATA]

Iris, Wine, Breast cancer and the 8 x 8 digits are scikit-learn's. The others are those of R's package
mlbench (Newman et al., UCI repository; Debian: r-cran-mlbench, whose folder of .rda files is
MLBENCH_DATA) and need pyreadr and pandas. Rows with missing values and constant columns are left out,
as are columns that name a speaker or repeat the class.
"""

import sys
from pathlib import Path

import numpy as np

# Set: column of the class, columns that are no features.
MLBENCH = {
    "Glass": ("Type", ()),
    "Ionosphere": ("Class", ("V1", "V2")),
    "PimaIndiansDiabetes": ("diabetes", ()),
    "Satellite": ("classes", ()),
    "Sonar": ("Class", ()),
    "Vehicle": ("Class", ()),
    "Vowel": ("Class", ("V1",)),
    "Zoo": ("type", ()),
}


def write(folder, name, values, classes):
    values = np.asarray(values, float)
    names = {c: i for i, c in enumerate(dict.fromkeys(map(str, classes)))}
    labels = np.array([names[str(c)] for c in classes])
    whole = np.isfinite(values).all(1)
    values, labels = values[whole], labels[whole]
    values = values[:, values.std(0) > 0]
    path = Path(folder) / f"{name.lower()}.csv"
    with open(path, "w") as out:
        for row, label in zip(values, labels):
            out.write(",".join(repr(float(v)) for v in row) + f",c{label}\n")
    print(f"{path}: {values.shape[0]} rows, {values.shape[1]} features, {len(names)} classes")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    from sklearn import datasets

    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    for name, load in (
        ("iris", datasets.load_iris),
        ("wine", datasets.load_wine),
        ("cancer", datasets.load_breast_cancer),
        ("digits", datasets.load_digits),
    ):
        write(sys.argv[1], name, *load(return_X_y=True))
    if len(sys.argv) == 2:
        return
    import pyreadr

    for name, (label, dropped) in MLBENCH.items():
        table = pyreadr.read_r(str(Path(sys.argv[2]) / f"{name}.rda"))[name]
        features = table.drop(columns=[label, *dropped])
        truth = {"TRUE": "1", "True": "1", "FALSE": "0", "False": "0"}
        values = features.astype(str).replace(truth).astype(float)
        write(sys.argv[1], name, values, table[label])


if __name__ == "__main__":
    main()
