#!/usr/bin/env python3
"""Writes tests/data/scikit-learn.safetensors: what k-means and the Gaussian mixture of scikit-learn
make of two data sets from given centres and labels. Read by tests/ganmm/scikit_learn_test.cpp.

Needs numpy and scikit-learn (written with 1.9.1). Run it by hand after adding a case; the tests
themselves do not need Python.

    python3 tests/reference/scikit_learn.py
"""
import json
import pathlib
import struct
import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
tensors = {}


def put(name, value, dtype=np.float64):
    tensors[name] = np.atleast_1d(np.asarray(value, dtype=dtype))


def segmentation():
    """Scaled as `--scale maxabs` does it, sums in order of the rows, stored as float."""
    raw = np.loadtxt(DATA / "image-segmentation.csv", delimiter=",", skiprows=1, dtype=np.float32)
    x = raw[:, :-1].astype(np.float64)
    offset = np.cumsum(x, axis=0)[-1] / len(x)
    low, high = x.min(0), x.max(0)
    offset = np.where(low == high, low, offset)
    factor = np.where(low == high, 1.0, 1 / np.maximum(np.maximum(high - offset, offset - low), 1e-300))
    return ((x - offset) * factor).astype(np.float32)


def blobs():
    """Three elongated clusters of different sizes that touch."""
    rng = np.random.default_rng(3)
    parts = [rng.normal(size=(rows, 2)) @ shape + centre for rows, shape, centre in
             [(60, [[1.0, 0.6], [0.0, 0.3]], [0, 0]), (30, [[0.4, 0.0], [0.3, 0.8]], [3, 1]),
              (20, [[0.2, 0.0], [0.0, 0.2]], [1, 3])]]
    return np.concatenate(parts).astype(np.float32)


def kmeans_case(name, data, centres, keep=True):
    x = data.astype(np.float64)
    fit = KMeans(len(centres), init=centres.astype(np.float64), n_init=1).fit(x)
    put(f"{name}.start", centres, np.float32)
    put(f"{name}.centres", fit.cluster_centers_)
    put(f"{name}.inertia", fit.inertia_)
    put(f"{name}.iterations", fit.n_iter_)
    put(f"{name}.labels", fit.labels_, np.int32)
    return fit.labels_


class FromLabels(GaussianMixture):
    """Begins with given labels instead of its own k-means."""

    def _initialize_parameters(self, x, random_state, xp=None):
        self._initialize(x, np.eye(self.n_components)[self.labels])


def mixture_cases(name, data, labels):
    x = data.astype(np.float64)
    for kind in ["full", "tied", "diag", "spherical"]:
        fit = FromLabels(labels.max() + 1, covariance_type=kind)
        fit.labels = labels
        fit.fit(x)
        put(f"{name}.{kind}.trace", fit.lower_bounds_)
        put(f"{name}.{kind}.converged", fit.converged_)
        put(f"{name}.{kind}.weights", fit.weights_)
        put(f"{name}.{kind}.means", fit.means_)
        put(f"{name}.{kind}.covariances", fit.covariances_)
        put(f"{name}.{kind}.log_likelihood", fit.score(x))
        put(f"{name}.{kind}.bic", fit.bic(x))
        put(f"{name}.{kind}.aic", fit.aic(x))
        put(f"{name}.{kind}.sizes", np.bincount(fit.predict(x), minlength=len(fit.weights_)))


def write(path):
    header, at, body = {}, 0, b""
    for name, value in tensors.items():
        raw = value.tobytes()
        header[name] = {"dtype": {"f4": "F32", "f8": "F64", "i4": "I32"}[value.dtype.str[1:]],
                        "shape": list(value.shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        body += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


warnings.simplefilter("ignore", ConvergenceWarning)
image_rows = segmentation()
mixture_cases("segmentation", image_rows,
              kmeans_case("segmentation.kmeans", image_rows, image_rows[100::330]))
points = blobs()
put("blobs.points", points, np.float32)
mixture_cases("blobs", points, kmeans_case("blobs.kmeans", points, points[:3]))
# Two clusters lose all their points, one at the start and one on the way.
far = np.concatenate([points[:3], [[40, 40], [9, -9]]])
kmeans_case("blobs.empty", points, far)
write(DATA / "scikit-learn.safetensors")
