"""Shapes of the networks, initial weights and inputs that all peers share.

The networks are those of ganmm/networks.cpp (objective wgan-gp). Parameters are numpy arrays with
the N pairs outermost; images are channels-first here, and a dense layer that meets an image counts
its pixels in that order:

    dense   w [N, in, out]                b [N, out]
    conv    w [N, out_c, in_c, 5, 5]      b [N, out_c]
    deconv  w [N, in_c, out_c, 5, 5]      b [N, out_c]    (filter of the adjoint convolution)
"""

from dataclasses import dataclass

import numpy as np

BATCH = 50
CRITIC_STEPS = 5
PENALTY = 10.0
ROWS = 4000  # of the random data set, as in ganmm bench
LEARNING_RATE = 2e-4
BETA1, BETA2, EPSILON = 0.5, 0.9, 1e-8  # epsilon outside the root
KERNEL, STRIDE, LEAK = 5, 2, 0.2


@dataclass(frozen=True)
class Layer:
    kind: str  # dense, conv, deconv
    inp: tuple  # (features,) or (channels, height, width)
    out: tuple
    act: str = "none"  # none, relu, leaky, sigmoid
    pad: tuple = ()  # before, after; of the (adjoint) convolution, both axes alike

    @property
    def weight_shape(self):
        if self.kind == "dense":
            return (int(np.prod(self.inp)), int(np.prod(self.out)))
        first, second = (self.out, self.inp) if self.kind == "conv" else (self.inp, self.out)
        return (first[0], second[0], KERNEL, KERNEL)

    @property
    def biases(self):
        return int(np.prod(self.out)) if self.kind == "dense" else self.out[0]

    @property
    def bound(self):
        """Of the uniform initial weights: the rules of nn/dense.cpp and nn/linear_layer.h."""
        if self.kind == "dense":
            rows, columns = self.weight_shape
            return float(np.sqrt(6.0 / (rows + columns)))
        small, large = self.weight_shape[:2]
        taps = KERNEL * KERNEL
        return float(np.sqrt(12.0 / (taps * large + taps * small / STRIDE**2)))


@dataclass(frozen=True)
class Net:
    name: str  # as in ganmm bench
    noise: int
    item: tuple
    generator: tuple
    critic: tuple

    @property
    def image(self):
        return len(self.item) == 3


def same_padding(size):
    """TensorFlow's SAME: what is missing, the odd pixel after the image."""
    total = max((-(-size // STRIDE) - 1) * STRIDE + KERNEL - size, 0)
    return total // 2, total - total // 2


def _mlp(hidden, item):
    return Net(
        f"mlp 64-{hidden}-{item}",
        64,
        (item,),
        (Layer("dense", (64,), (hidden,), "relu"), Layer("dense", (hidden,), (item,))),
        (Layer("dense", (item,), (hidden,), "relu"), Layer("dense", (hidden,), (1,))),
    )


def _conv(width):
    w = width
    s0, s1, s2, s3 = (1, 28, 28), (w, 14, 14), (2 * w, 7, 7), (4 * w, 4, 4)

    def conv(a, b):
        return Layer("conv", a, b, "leaky", same_padding(a[1]))

    def deconv(a, b, act):  # an odd target is a crop of the doubled image
        return Layer("deconv", a, b, act, same_padding(2 * a[1]))

    return Net(
        f"conv {width}",
        128,
        s0,
        (
            Layer("dense", (128,), s3, "relu"),
            deconv(s3, s2, "relu"),
            deconv(s2, s1, "relu"),
            deconv(s1, s0, "sigmoid"),
        ),
        (conv(s0, s1), conv(s1, s2), conv(s2, s3), Layer("dense", s3, (1,))),
    )


NETS = {
    "mlp": _mlp(64, 6),
    "mlp19": _mlp(64, 19),
    "mlp10": _mlp(32, 10),
    "conv16": _conv(16),
    "conv64": _conv(64),
}


def initial_weights(layers, pairs, seed):
    """{layer index + ".w" or ".b": float32 array}."""
    rng = np.random.default_rng(seed)
    params = {}
    for i, layer in enumerate(layers):
        shape = (pairs, *layer.weight_shape)
        params[f"{i}.w"] = rng.uniform(-layer.bound, layer.bound, shape).astype(np.float32)
        params[f"{i}.b"] = np.zeros((pairs, layer.biases), np.float32)
    return params


@dataclass
class Problem:
    """One benchmark row: weights, data, and the random numbers of its first iteration."""

    net: Net
    pairs: int
    generator: dict
    critic: dict
    data: np.ndarray  # [ROWS, *item]
    rows: np.ndarray  # [5, N, 50] into data
    noise_g: np.ndarray  # [N, 50, noise], generator step
    noise_c: np.ndarray  # [N, 250, noise], samples of the critic steps
    alpha: np.ndarray  # [5, N, 50]


def make_problem(net, pairs, seed=1):
    rng = np.random.default_rng([seed, pairs])
    shape = (ROWS, *net.item)
    data = rng.uniform(0, 1, shape) if net.image else rng.normal(0, 1, shape)
    return Problem(
        net,
        pairs,
        initial_weights(net.generator, pairs, [seed, pairs, 1]),
        initial_weights(net.critic, pairs, [seed, pairs, 2]),
        data.astype(np.float32),
        rng.integers(0, ROWS, (CRITIC_STEPS, pairs, BATCH)),
        rng.normal(0, 1, (pairs, BATCH, net.noise)).astype(np.float32),
        rng.normal(0, 1, (pairs, CRITIC_STEPS * BATCH, net.noise)).astype(np.float32),
        rng.uniform(0, 1, (CRITIC_STEPS, pairs, BATCH)).astype(np.float32),
    )
