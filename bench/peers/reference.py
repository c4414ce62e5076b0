"""Gradients of one iteration in float64, in numpy alone, with no automatic differentiation.

Weights are held still during the iteration (learning rate 0). What a peer must agree with is then
Adam's first moment after it: (1 - beta1) g for a generator, (1 - beta1) sum_k beta1^(4-k) g_k over
the five critic steps, so the check covers the very function that is timed. The penalty is forward
over reverse: with v = dP/dg held still, dP/dw = d/dw of the tangent of f along v
(nn/gradient_penalty.h).
"""

import numpy as np

from nets import BATCH, BETA1, CRITIC_STEPS, KERNEL, LEAK, PENALTY, STRIDE

# Largest permitted |m - m64| / |m64| of a parameter tensor in fp32. Rounding alone gives 1e-6; a
# unit within rounding of its kink may switch sides, which costs one item's share of a gradient.
TOLERANCE = 1e-3


def _taps(padded, out):
    for i in range(KERNEL):
        for j in range(KERNEL):
            yield i, j, (
                slice(None),
                slice(None),
                slice(i, i + STRIDE * (out[1] - 1) + 1, STRIDE),
                slice(j, j + STRIDE * (out[2] - 1) + 1, STRIDE),
            )


def _padded(x, large, small, pad):
    extent = max((small[1] - 1) * STRIDE + KERNEL, pad[0] + large[1])
    result = np.zeros((len(x), large[0], extent, extent))
    result[:, :, pad[0] : pad[0] + large[1], pad[0] : pad[0] + large[2]] = x
    return result


def _patches(x, large, small, pad):
    """[items * positions, taps * channels]."""
    padded = _padded(x, large, small, pad)
    result = np.empty((len(x), small[1], small[2], KERNEL * KERNEL, large[0]))
    for i, j, tap in _taps(padded, small):
        result[:, :, :, i * KERNEL + j] = np.moveaxis(padded[tap], 1, 3)
    return result.reshape(-1, KERNEL * KERNEL * large[0])


def _rows(u):
    return np.moveaxis(u, 1, 3).reshape(-1, u.shape[1])


def _matrix(w):
    """[taps * in_c, out_c] from [out_c, in_c, 5, 5]."""
    return np.transpose(w, (2, 3, 1, 0)).reshape(-1, w.shape[0])


def _conv(x, w, large, small, pad):
    y = _patches(x, large, small, pad) @ _matrix(w)
    return np.moveaxis(y.reshape(len(x), small[1], small[2], small[0]), 3, 1)


def _conv_adjoint(u, w, large, small, pad):
    columns = (_rows(u) @ _matrix(w).T).reshape(len(u), small[1], small[2], -1, large[0])
    padded = np.zeros_like(_padded(np.zeros((len(u), *large)), large, small, pad))
    for i, j, tap in _taps(padded, small):
        padded[tap] += np.moveaxis(columns[:, :, :, i * KERNEL + j], 3, 1)
    return padded[:, :, pad[0] : pad[0] + large[1], pad[0] : pad[0] + large[2]]


def _conv_weights(x, u, large, small, pad):
    w = _patches(x, large, small, pad).T @ _rows(u)
    return np.transpose(w.reshape(KERNEL, KERNEL, large[0], small[0]), (3, 2, 0, 1))


class _Linear:
    """The linear map of a layer, its adjoint, and its bilinear form in (input, signal)."""

    def __init__(self, layer, w):
        self.layer, self.w = layer, w
        large, small = (layer.inp, layer.out) if layer.kind == "conv" else (layer.out, layer.inp)
        self.geometry = (large, small, layer.pad)

    def forward(self, x):
        if self.layer.kind == "dense":
            return (x.reshape(len(x), -1) @ self.w).reshape(len(x), *self.layer.out)
        op = _conv if self.layer.kind == "conv" else _conv_adjoint
        return op(x, self.w, *self.geometry)

    def adjoint(self, u):
        if self.layer.kind == "dense":
            return (u.reshape(len(u), -1) @ self.w.T).reshape(len(u), *self.layer.inp)
        op = _conv_adjoint if self.layer.kind == "conv" else _conv
        return op(u, self.w, *self.geometry)

    def weights(self, x, u):
        if self.layer.kind == "dense":
            return x.reshape(len(x), -1).T @ u.reshape(len(u), -1)
        if self.layer.kind == "deconv":
            x, u = u, x
        return _conv_weights(x, u, *self.geometry)

    def bias(self, u):
        return u.sum(axis=0).reshape(-1) if self.layer.kind == "dense" else u.sum(axis=(0, 2, 3))


def _activate(kind, z):
    """Value and derivative."""
    if kind == "relu":
        return np.maximum(z, 0), (z > 0).astype(float)
    if kind == "leaky":
        return np.where(z > 0, z, LEAK * z), np.where(z > 0, 1.0, LEAK)
    if kind == "sigmoid":
        y = 1 / (1 + np.exp(-z))
        return y, y * (1 - y)
    return z, np.ones_like(z)


class Network:
    def __init__(self, layers, params, pair):
        self.layers = layers
        self.maps = [
            _Linear(layer, params[f"{i}.w"][pair].astype(np.float64))
            for i, layer in enumerate(layers)
        ]
        self.biases = [params[f"{i}.b"][pair].astype(np.float64) for i in range(len(layers))]

    def forward(self, x):
        """Output and tape: inputs and activation derivatives of all layers."""
        inputs, slopes = [], []
        for layer, linear, b in zip(self.layers, self.maps, self.biases):
            inputs.append(x)
            bias = b.reshape(layer.out) if layer.kind == "dense" else b[:, None, None]
            x, slope = _activate(layer.act, linear.forward(x) + bias)
            slopes.append(slope)
        return x, (inputs, slopes)

    def backward(self, tape, seed):
        """Parameter gradients, signals at the linear maps' outputs, the input's gradient."""
        inputs, slopes = tape
        grads, signals = {}, [None] * len(self.maps)
        for i in reversed(range(len(self.maps))):
            u = signals[i] = seed * slopes[i]
            grads[f"{i}.w"] = self.maps[i].weights(inputs[i], u)
            grads[f"{i}.b"] = self.maps[i].bias(u)
            seed = self.maps[i].adjoint(u)
        return grads, signals, seed

    def penalty(self, x):
        """Its value and its gradients; the activations must be piecewise linear."""
        _, tape = self.forward(x)
        _, signals, g = self.backward(tape, np.ones((len(x), 1)))
        norm = np.sqrt((g**2).reshape(len(x), -1).sum(axis=1))
        wide = norm.reshape(-1, *[1] * (g.ndim - 1))
        t = 2 * PENALTY / len(x) * (1 - 1 / wide) * g
        grads = {}
        for i, linear in enumerate(self.maps):
            grads[f"{i}.w"] = linear.weights(t, signals[i])
            t = linear.forward(t) * tape[1][i]
        return PENALTY * np.mean((norm - 1) ** 2), grads


def _stack(per_pair):
    return {name: np.stack([grads[name] for grads in per_pair]) for name in per_pair[0]}


def generator_gradients(problem, n, noise):
    generator = Network(problem.net.generator, problem.generator, n)
    critic = Network(problem.net.critic, problem.critic, n)
    fake, tape = generator.forward(noise.astype(np.float64))
    _, critic_tape = critic.forward(fake)
    _, _, d_fake = critic.backward(critic_tape, np.full((len(noise), 1), -1 / len(noise)))
    return generator.backward(tape, d_fake)[0]


def critic_gradients(problem, n, real, fake, alpha):
    critic = Network(problem.net.critic, problem.critic, n)
    count = len(real)
    _, tape = critic.forward(np.concatenate([real, fake]))
    seed = np.concatenate([np.full((count, 1), -1 / count), np.full((count, 1), 1 / count)])
    grads = critic.backward(tape, seed)[0]
    alpha = alpha.reshape(-1, *[1] * (real.ndim - 1))
    for name, extra in critic.penalty(alpha * real + (1 - alpha) * fake)[1].items():
        grads[name] = grads[name] + extra
    return grads


def first_moments(problem):
    """Adam's first moments after one iteration at learning rate 0: (generators, critics)."""
    generators, critics = [], []
    for n in range(problem.pairs):
        g = generator_gradients(problem, n, problem.noise_g[n])
        generators.append({k: (1 - BETA1) * v for k, v in g.items()})
        generator = Network(problem.net.generator, problem.generator, n)
        fakes, _ = generator.forward(problem.noise_c[n].astype(np.float64))
        moments = {}
        for step in range(CRITIC_STEPS):
            real = problem.data[problem.rows[step, n]].astype(np.float64)
            fake = fakes[step * BATCH : (step + 1) * BATCH]
            alpha = problem.alpha[step, n].astype(np.float64)
            for k, v in critic_gradients(problem, n, real, fake, alpha).items():
                moments[k] = BETA1 * moments.get(k, 0) + (1 - BETA1) * v
        critics.append(moments)
    return _stack(generators), _stack(critics)


def worst_error(moments, expected):
    """Largest relative error of a tensor, and its name. A NaN or a missing tensor is infinite."""
    worst, where = 0.0, ""
    floor = 1e-3 * max(np.linalg.norm(right[0]) for right in expected.values())
    for name, right in expected.items():
        found = moments.get(name)
        for n in range(len(right)):
            scale = max(np.linalg.norm(right[n]), floor)  # the last bias's gradient is 0
            error = np.inf
            if found is not None and found.shape == right.shape:
                error = np.linalg.norm(found[n].astype(np.float64) - right[n]) / scale
            if not error <= worst:
                worst, where = (float(error) if error == error else np.inf), f"{name}[{n}]"
    return worst, where


def check_self():
    """The penalty's gradient against central differences."""
    from nets import NETS, make_problem

    problem = make_problem(NETS["mlp"], 1)
    x = problem.data[:8].astype(np.float64)
    critic = Network(problem.net.critic, problem.critic, 0)
    _, grads = critic.penalty(x)
    rng = np.random.default_rng(3)
    for name, index in (("0.w", 0), ("1.w", 1)):
        direction = rng.normal(size=grads[name].shape)
        w, step = critic.maps[index].w, 1e-6
        values = []
        for sign in (1, -1):
            critic.maps[index].w = w + sign * step * direction
            values.append(critic.penalty(x)[0])
        critic.maps[index].w = w
        slope = (values[0] - values[1]) / (2 * step)
        expected = float((grads[name] * direction).sum())
        assert abs(slope - expected) <= 1e-6 * max(abs(expected), 1), (name, slope, expected)
