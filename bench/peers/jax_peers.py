"""Peers in JAX: jit of vmap over the pairs, the five critic steps unrolled, donated buffers.

Images are channels-last here, as XLA likes them on both devices.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nets import (
    BATCH,
    BETA1,
    BETA2,
    CRITIC_STEPS,
    EPSILON,
    KERNEL,
    LEAK,
    LEARNING_RATE,
    PENALTY,
    STRIDE,
)

# Iterations per call of the scanned peer: the call's cost vanishes, blocks stay short.
SCAN_DENSE, SCAN_IMAGES = 20, 2


def _reordered(name, layers, array, to_last):
    """Parameters [N, ...] from channels-first to channels-last, or back."""
    index, which = name.split(".")
    layer = layers[int(index)]
    if layer.kind != "dense":  # [N, small, large, 5, 5] and HWIO of the (adjoint) convolution
        axes = (0, 3, 4, 2, 1) if to_last else (0, 4, 3, 1, 2)
        return np.transpose(array, axes) if which == "w" else array
    for axis, shape in ((1, layer.inp), (2, layer.out)) if which == "w" else ((1, layer.out),):
        if len(shape) == 3:
            order = np.arange(np.prod(shape)).reshape(shape).transpose(1, 2, 0).ravel()
            array = np.take(array, order if to_last else np.argsort(order), axis)
    return array


def _activate(kind, z):
    if kind == "relu":
        return jax.nn.relu(z)
    if kind == "leaky":
        return jnp.where(z > 0, z, LEAK * z)
    return jax.nn.sigmoid(z) if kind == "sigmoid" else z


_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def _conv(x, w, layer, patches):
    if not patches:
        return lax.conv_general_dilated(
            x, w, (STRIDE, STRIDE), [layer.pad] * 2, dimension_numbers=_DIMENSIONS
        )
    # 25 shifted views side by side and one product, which vmap makes a batched product.
    h, width = layer.out[1:]
    x = jnp.pad(x, ((0, 0), layer.pad, layer.pad, (0, 0)))
    taps = [
        x[:, i : i + STRIDE * (h - 1) + 1 : STRIDE, j : j + STRIDE * (width - 1) + 1 : STRIDE]
        for i in range(KERNEL)
        for j in range(KERNEL)
    ]
    return jnp.concatenate(taps, 3) @ w.reshape(-1, w.shape[-1])


def _deconv(x, w, layer, patches):
    """Adjoint of the convolution from layer.out to layer.inp."""
    h, width = layer.out[1:]
    if not patches:
        before = KERNEL - 1 - layer.pad[0]

        def pads(size, wanted):  # the kernel turned round over the spread-out image
            return before, wanted - ((size - 1) * STRIDE + 1) + KERNEL - 1 - before

        return lax.conv_general_dilated(
            x,
            jnp.swapaxes(w[::-1, ::-1], 2, 3),
            (1, 1),
            [pads(layer.inp[1], h), pads(layer.inp[2], width)],
            lhs_dilation=(STRIDE, STRIDE),
            dimension_numbers=_DIMENSIONS,
        )
    shape = (len(x), *layer.out[1:], layer.out[0])
    adjoint = jax.linear_transpose(
        lambda y: _conv(y, w, _swapped(layer), True), jax.ShapeDtypeStruct(shape, x.dtype)
    )
    return adjoint(x)[0]


def _swapped(layer):
    # The padding after a cropped image reaches what the crop dropped.
    after = STRIDE * (layer.inp[1] - 1) + KERNEL - layer.pad[0] - layer.out[1]
    return replace(layer, inp=layer.out, out=layer.inp, pad=(layer.pad[0], after))


def _forward(layers, params, x, dtype, patches):
    x = x.astype(dtype)
    for i, layer in enumerate(layers):
        w, b = params[f"{i}.w"].astype(dtype), params[f"{i}.b"].astype(dtype)
        if layer.kind == "dense":
            x = x.reshape(len(x), -1) @ w + b
            if len(layer.out) == 3:
                x = x.reshape(-1, *layer.out[1:], layer.out[0])
        else:
            x = (_conv if layer.kind == "conv" else _deconv)(x, w, layer, patches) + b
        x = _activate(layer.act, x)
    return x.astype(jnp.float32)


class Peer:
    def __init__(self, problem, device, math, rate, scan, patches=False):
        precision = {"fp32": "highest", "tf32": "tensorfloat32", "bf16": "default"}[math]
        jax.config.update("jax_default_matmul_precision", precision)
        self.net, self.pairs = problem.net, problem.pairs
        self.scan = (SCAN_IMAGES if self.net.image else SCAN_DENSE) if scan else 0
        self.problem, self.rate, self.patches = problem, rate, patches
        self.dtype = jnp.bfloat16 if math == "bf16" else jnp.float32
        self.device = jax.devices("gpu" if device == "cuda" else "cpu")[0]
        first = lambda a: np.moveaxis(a, 1, -1) if problem.net.image else a
        self.data = jax.device_put(first(problem.data), self.device)
        self.rows = jax.device_put(problem.rows.astype(np.int32), self.device)
        params = [
            {k: jnp.array(_reordered(k, layers, a, True)) for k, a in p.items()}
            for layers, p in (
                (self.net.generator, problem.generator),
                (self.net.critic, problem.critic),
            )
        ]
        zeros = lambda p: {k: jnp.zeros_like(a) for k, a in p.items()}
        state = tuple((p, zeros(p), zeros(p), jnp.float32(0)) for p in params)
        self.state = jax.device_put(state, self.device)
        self.key = jax.device_put(jax.random.key(7, impl="rbg"), self.device)
        self.run_given = jax.jit(self.iteration, donate_argnums=0)
        self.run_drawn = jax.jit(self.many, donate_argnums=(0, 1))

    def generate(self, params, z):
        return _forward(self.net.generator, params, z, self.dtype, self.patches)

    def criticise(self, params, x):
        return _forward(self.net.critic, params, x, self.dtype, self.patches)[:, 0]

    def adam(self, state, grads):
        params, m, v, count = state
        count = count + 1
        scale1, scale2 = 1 / (1 - BETA1**count), 1 / (1 - BETA2**count)
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, grads)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, grads)
        update = lambda p, m, v: p - self.rate * m * scale1 / (jnp.sqrt(v * scale2) + EPSILON)
        params = jax.tree.map(update, params, m, v)
        return params, m, v, count

    def critic_loss(self, params, real, fake, alpha):
        alpha = alpha.reshape(-1, *[1] * (real.ndim - 1))
        g = jax.grad(lambda x: self.criticise(params, x).sum())(alpha * real + (1 - alpha) * fake)
        norm = jnp.sqrt((g**2).reshape(BATCH, -1).sum(1))
        out = self.criticise(params, jnp.concatenate([real, fake]))
        distance = (out[BATCH:].sum() - out[:BATCH].sum()) / BATCH
        return distance + PENALTY * ((norm - 1) ** 2).mean()

    def iteration(self, state, data, rows, z_g, z_c, alpha):
        gen, crit = state
        loss = lambda pg, pc, z: -self.criticise(pc, self.generate(pg, z)).mean()
        gen = self.adam(gen, jax.vmap(jax.grad(loss))(gen[0], crit[0], z_g))
        fakes = jax.vmap(self.generate)(gen[0], z_c)
        gradients = jax.vmap(jax.grad(self.critic_loss))
        for step in range(CRITIC_STEPS):
            fake = fakes[:, step * BATCH : (step + 1) * BATCH]
            crit = self.adam(crit, gradients(crit[0], data[rows[step]], fake, alpha[step]))
        return gen, crit

    def many(self, state, key, data, rows):
        def body(carry, _):
            state, key = carry
            key, *k = jax.random.split(key, 4)
            n = self.pairs
            z_g = jax.random.normal(k[0], (n, BATCH, self.net.noise))
            z_c = jax.random.normal(k[1], (n, CRITIC_STEPS * BATCH, self.net.noise))
            alpha = jax.random.uniform(k[2], (CRITIC_STEPS, n, BATCH))
            return (self.iteration(state, data, rows, z_g, z_c, alpha), key), None

        if not self.scan:
            return body((state, key), None)[0]
        return lax.scan(body, (state, key), None, length=self.scan)[0]

    def first(self):
        p = self.problem
        given = [jax.device_put(a, self.device) for a in (p.noise_g, p.noise_c, p.alpha)]
        self.state = self.run_given(self.state, self.data, self.rows, *given)

    def prepare(self):
        args = (self.state, self.key, self.data, self.rows)
        self.run_drawn = self.run_drawn.lower(*args).compile()

    @property
    def unit(self):
        """Iterations come in multiples of this."""
        return self.scan or 1

    def iterate(self, count):
        for _ in range(-(-count // self.unit)):
            self.state, self.key = self.run_drawn(self.state, self.key, self.data, self.rows)

    def synchronize(self):
        jax.block_until_ready(self.state)

    def moments(self):
        nets = (self.net.generator, self.net.critic)
        return [
            {k: _reordered(k, layers, np.asarray(a), False) for k, a in s[1].items()}
            for layers, s in zip(nets, self.state)
        ]

    def memory_bytes(self):
        return (self.device.memory_stats() or {}).get("peak_bytes_in_use", 0)


IMAGES = ("conv16", "conv64")
PEERS = {
    "jax-scan": ("JAX, vmap, scan", ("cpu", "cuda"), None, lambda *a: Peer(*a, scan=True)),
    "jax-step": ("JAX, vmap, a call each", ("cpu", "cuda"), None, lambda *a: Peer(*a, scan=False)),
    "jax-patches": (
        "JAX, convolutions as products of patches",
        ("cpu", "cuda"),
        IMAGES,
        lambda *a: Peer(*a, scan=False, patches=True),
    ),
}


def make(name, problem, device, math, rate=LEARNING_RATE):
    return PEERS[name][3](problem, device, math, rate)


def devices():
    found = {"cpu": "cpu", "gpu": "cuda"}
    return [found[d] for d in ("cpu", "gpu") if _has(d)]


def _has(kind):
    try:
        return bool(jax.devices(kind))
    except RuntimeError:
        return False
