"""Peers in PyTorch. See README.md for what each is.

Every peer takes the same iteration: generator step, samples of all critic steps in one pass,
critic steps. Real and fake go through the critic together; the interpolates separately, because
only they need a second derivative.
"""

import torch
import torch.nn.functional as F
from torch.func import grad, vmap

from nets import BATCH, BETA1, BETA2, CRITIC_STEPS, EPSILON, LEAK, LEARNING_RATE, PENALTY, STRIDE


def set_math(math):
    high = "tf32" if math == "tf32" else "ieee"
    torch.set_float32_matmul_precision("high" if math == "tf32" else "highest")
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = high == "tf32"
        torch.backends.cudnn.allow_tf32 = high == "tf32"
        torch.backends.cudnn.benchmark = True


def _activate(kind, z):
    if kind == "relu":
        return F.relu(z)
    if kind == "leaky":
        return F.leaky_relu(z, LEAK)
    return torch.sigmoid(z) if kind == "sigmoid" else z


class Single:
    """Networks of one pair: rows [B, *item], parameters without the axis of pairs."""

    def __init__(self, net, dtype):
        self.net, self.dtype = net, dtype

    def forward(self, layers, params, x):
        x = x.to(self.dtype)
        for i, layer in enumerate(layers):
            w, b = params[2 * i].to(self.dtype), params[2 * i + 1].to(self.dtype)
            if layer.kind == "dense":
                x = torch.addmm(b, x.flatten(1), w).view(-1, *layer.out)
            elif layer.kind == "conv":
                x = F.conv2d(F.pad(x, layer.pad * 2), w, b, stride=STRIDE)
            else:
                x = F.conv_transpose2d(x, w, b, stride=STRIDE, padding=layer.pad[0])
                x = x[..., : layer.out[1], : layer.out[2]]
            x = _activate(layer.act, x)
        return x.float()

    generate = property(lambda self: lambda p, z: self.forward(self.net.generator, p, z))
    criticise = property(lambda self: lambda p, x: self.forward(self.net.critic, p, x))

    join = staticmethod(lambda a, b: torch.cat([a, b], 0))
    norms = staticmethod(lambda g: torch.linalg.vector_norm(g.flatten(1), dim=1))
    spread = staticmethod(lambda alpha, x: alpha.view(-1, *[1] * (x.ndim - 1)))
    sides = staticmethod(lambda out: (out[:BATCH], out[BATCH:]))


class Batched:
    """Networks of all pairs by hand: dense layers as baddbmm, convolutions with groups = N.

    Rows are [N, B, features] for dense nets and [B, N * channels, height, width] for images.
    """

    def __init__(self, net, pairs, dtype):
        self.net, self.pairs, self.dtype = net, pairs, dtype

    def forward(self, layers, params, x):
        n, x = self.pairs, x.to(self.dtype)
        for i, layer in enumerate(layers):
            w, b = params[2 * i].to(self.dtype), params[2 * i + 1].to(self.dtype)
            if layer.kind == "dense":
                if x.ndim == 4:
                    x = x.reshape(len(x), n, -1).transpose(0, 1)
                x = torch.baddbmm(b.unsqueeze(1), x, w)
                if len(layer.out) == 3:
                    c, h, width = layer.out
                    x = x.transpose(0, 1).reshape(-1, n * c, h, width)
            else:
                w, b = w.flatten(0, 1), b.flatten()
                if layer.kind == "conv":
                    x = F.conv2d(F.pad(x, layer.pad * 2), w, b, stride=STRIDE, groups=n)
                else:
                    x = F.conv_transpose2d(x, w, b, STRIDE, layer.pad[0], 0, n)
                    x = x[..., : layer.out[1], : layer.out[2]]
            x = _activate(layer.act, x)
        return x.float()

    generate = Single.generate
    criticise = Single.criticise

    @property
    def axis(self):  # of the rows
        return 0 if self.net.image else 1

    def join(self, a, b):
        return torch.cat([a, b], self.axis)

    def norms(self, g):
        if self.net.image:
            g = g.reshape(len(g), self.pairs, -1)
        return torch.linalg.vector_norm(g, dim=2)

    def spread(self, alpha, x):  # alpha [N, B]
        if not self.net.image:
            return alpha.unsqueeze(2)
        return alpha.t().repeat_interleave(self.net.item[0], 1)[:, :, None, None]

    def sides(self, out):  # critic output [N, 2 B, 1]
        return out[:, :BATCH], out[:, BATCH:]

    def rows_of(self, data, rows):  # rows [N, B] into data [R, *item]
        if not self.net.image:
            return data[rows]
        return data[rows.t()].flatten(1, 2)

    def part(self, fakes, step):
        return fakes.narrow(self.axis, step * BATCH, BATCH)


# Losses are sums over pairs of means over a batch, so that one gradient serves all pairs.


def generator_loss(nets, pg, pc, z):
    return -nets.criticise(pc, nets.generate(pg, z)).sum() / BATCH


def _wasserstein(nets, pc, real, fake):
    out_real, out_fake = nets.sides(nets.criticise(pc, nets.join(real, fake)))
    return (out_fake.sum() - out_real.sum()) / BATCH


def _mix(nets, real, fake, alpha):
    alpha = nets.spread(alpha, real)
    return alpha * real + (1 - alpha) * fake


def critic_loss_functional(nets, pc, real, fake, alpha):
    """The penalty by torch.func, which nests and compiles."""
    g = grad(lambda x: nets.criticise(pc, x).sum())(_mix(nets, real, fake, alpha))
    penalty = PENALTY / BATCH * ((nets.norms(g) - 1) ** 2).sum()
    return _wasserstein(nets, pc, real, fake) + penalty


def critic_loss_autograd(nets, pc, real, fake, alpha):
    x = _mix(nets, real, fake, alpha).requires_grad_()
    (g,) = torch.autograd.grad(nets.criticise(pc, x).sum(), x, create_graph=True)
    penalty = PENALTY / BATCH * ((nets.norms(g) - 1) ** 2).sum()
    return _wasserstein(nets, pc, real, fake) + penalty


class Peer:
    """State of one benchmark row. iterate(count) trains; the random numbers are its own."""

    def __init__(self, problem, device, math, rate):
        set_math(math)
        self.problem, self.net, self.pairs = problem, problem.net, problem.pairs
        self.device, self.rate = torch.device(device), rate
        self.dtype = torch.bfloat16 if math == "bf16" else torch.float32
        self.data = self.tensor(problem.data)
        self.rows = self.tensor(problem.rows)

    def tensor(self, array):
        return torch.from_numpy(array).to(self.device)

    def stacked(self, params):
        return [self.tensor(a).clone() for a in params.values()]  # 0.w 0.b 1.w 1.b ...

    def given(self):
        p = self.problem
        return [self.tensor(a) for a in (p.noise_g, p.noise_c, p.alpha)]

    def drawn(self):
        n, z, d = self.pairs, self.net.noise, self.device
        return [
            torch.randn(n, BATCH, z, device=d),
            torch.randn(n, CRITIC_STEPS * BATCH, z, device=d),
            torch.rand(CRITIC_STEPS, n, BATCH, device=d),
        ]

    def adam(self, params):
        on_gpu = self.device.type == "cuda"
        return torch.optim.Adam(
            params, lr=self.rate, betas=(BETA1, BETA2), eps=EPSILON, fused=True, capturable=on_gpu
        )

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def named(self, tensors):
        names = [f"{i // 2}.{'wb'[i % 2]}" for i in range(len(tensors))]
        return {k: t.detach().float().cpu().numpy() for k, t in zip(names, tensors)}

    def prepare(self):
        """Compiles or captures; timed apart."""

    def memory_bytes(self):
        return torch.cuda.max_memory_allocated() if self.device.type == "cuda" else 0


def _apply(optimizer, params, grads):
    for p, g in zip(params, grads):
        p.grad = g
    optimizer.step()


class Loop(Peer):
    """P1: the pairs one after another, each with its own tensors and Adam."""

    def __init__(self, problem, device, math, rate):
        super().__init__(problem, device, math, rate)
        self.nets = Single(self.net, self.dtype)
        last = self.net.image and self.device.type == "cuda"
        layout = torch.channels_last if last else torch.contiguous_format
        self.gans = []
        for n in range(self.pairs):
            pg, pc = (
                [self._own(a[n], layout) for a in p.values()]
                for p in (problem.generator, problem.critic)
            )
            self.gans.append((pg, pc, self.adam(pg), self.adam(pc)))

    def _own(self, array, layout):
        layout = layout if array.ndim == 4 else torch.contiguous_format
        return self.tensor(array).clone(memory_format=layout).requires_grad_()

    def train_pair(self, n, z_g, z_c, alpha):
        pg, pc, adam_g, adam_c = self.gans[n]
        nets = self.nets
        _apply(adam_g, pg, torch.autograd.grad(generator_loss(nets, pg, pc, z_g), pg))
        with torch.no_grad():
            fakes = nets.generate(pg, z_c)
        for step in range(CRITIC_STEPS):
            real, fake = self.data[self.rows[step, n]], fakes[step * BATCH : (step + 1) * BATCH]
            loss = critic_loss_autograd(nets, pc, real, fake, alpha[step])
            _apply(adam_c, pc, torch.autograd.grad(loss, pc))

    def iteration(self, z_g, z_c, alpha):
        for n in range(self.pairs):
            self.train_pair(n, z_g[n], z_c[n], alpha[:, n])

    def first(self):
        self.iteration(*self.given())

    def iterate(self, count):
        for _ in range(count):
            self.iteration(*self.drawn())

    def moments(self):
        result = []
        for params, optimizer in ((0, 2), (1, 3)):
            columns = zip(
                *([g[optimizer].state[p]["exp_avg"] for p in g[params]] for g in self.gans)
            )
            result.append(self.named([torch.stack(list(c)) for c in columns]))
        return result


class Stacked(Peer):
    """All pairs in one set of tensors. how: "vmap" or "batched"; fused Adam on the stacks."""

    def __init__(self, problem, device, math, rate, how):
        super().__init__(problem, device, math, rate)
        self.how = how
        self.layout = Batched(self.net, self.pairs, self.dtype)
        self.single = Single(self.net, self.dtype)
        self.pg = [p.requires_grad_() for p in self.stacked(problem.generator)]
        self.pc = [p.requires_grad_() for p in self.stacked(problem.critic)]
        self.adam_g, self.adam_c = self.adam(self.pg), self.adam(self.pc)

    def generator_gradients(self, z):
        if self.how == "vmap":
            loss = lambda pg, pc, z: generator_loss(self.single, pg, pc, z)
            with torch.no_grad():
                return vmap(grad(loss))(self.pg, self.pc, z)
        return torch.autograd.grad(generator_loss(self.layout, self.pg, self.pc, z), self.pg)

    def samples(self, z):
        with torch.no_grad():
            if self.how == "vmap":
                return vmap(self.single.generate)(self.pg, z)
            return self.layout.generate(self.pg, z)

    def critic_gradients(self, fakes, alpha, step):
        rows = self.rows[step]
        if self.how == "vmap":
            loss = lambda *a: critic_loss_functional(self.single, *a)
            fake = fakes.narrow(1, step * BATCH, BATCH)
            with torch.no_grad():
                return vmap(grad(loss))(self.pc, self.data[rows], fake, alpha[step])
        real, fake = self.layout.rows_of(self.data, rows), self.layout.part(fakes, step)
        loss = critic_loss_autograd(self.layout, self.pc, real, fake, alpha[step])
        return torch.autograd.grad(loss, self.pc)

    def iteration(self, z_g, z_c, alpha):
        _apply(self.adam_g, self.pg, self.generator_gradients(z_g))
        fakes = self.samples(z_c)
        for step in range(CRITIC_STEPS):
            _apply(self.adam_c, self.pc, self.critic_gradients(fakes, alpha, step))

    first = Loop.first
    iterate = Loop.iterate

    def moments(self):
        pairs = ((self.adam_g, self.pg), (self.adam_c, self.pc))
        return [self.named([o.state[p]["exp_avg"] for p in params]) for o, params in pairs]


class ByHand(Stacked):
    """Dense nets of two layers without autograd: the formulas of nn/gradient_penalty.h in bmm."""

    def __init__(self, problem, device, math, rate):
        super().__init__(problem, device, math, rate, "batched")
        for p in (*self.pg, *self.pc):
            p.requires_grad_(False)

    @staticmethod
    def _mm(a, b, dtype):
        return torch.bmm(a.to(dtype), b.to(dtype)).float()

    def generator_gradients(self, z):
        (w0, b0, w1, b1), (v0, c0, v1, _), mm = self.pg, self.pc, self._mm
        t = self.dtype
        h = (mm(z, w0, t) + b0[:, None]).relu_()
        fake = mm(h, w1, t) + b1[:, None]
        mask = mm(fake, v0, t) + c0[:, None] > 0
        d_fake = mm(mask * (v1.mT / -BATCH), v0.mT, t)
        d_h = mm(d_fake, w1.mT, t) * (h > 0)
        return mm(z.mT, d_h, t), d_h.sum(1), mm(h.mT, d_fake, t), d_fake.sum(1)

    def critic_gradients(self, fakes, alpha, step):
        (v0, c0, v1, _), mm, t = self.pc, self._mm, self.dtype
        real, fake = self.data[self.rows[step]], self.layout.part(fakes, step)
        x = torch.cat([real, fake, torch.lerp(fake, real, alpha[step].unsqueeze(2))], 1)
        h = (mm(x, v0, t) + c0[:, None]).relu_()
        mask = (h > 0).float()
        u = mask * v1.mT  # d f / d hidden, for all rows
        g = mm(u[:, 2 * BATCH :], v0.mT, t)
        norm = torch.linalg.vector_norm(g, dim=2, keepdim=True)
        v = 2 * PENALTY / BATCH * (1 - 1 / norm) * g
        tangent = mm(v, v0, t) * mask[:, 2 * BATCH :]
        # One product serves the loss and the penalty: its rows are (real, fake, direction v).
        x[:, 2 * BATCH :] = v
        u[:, :BATCH] *= -1 / BATCH
        u[:, BATCH : 2 * BATCH] *= 1 / BATCH
        d_w1 = (h[:, BATCH : 2 * BATCH].sum(1) - h[:, :BATCH].sum(1)) / BATCH + tangent.sum(1)
        return (
            mm(x.mT, u, t),
            u[:, : 2 * BATCH].sum(1),
            d_w1.unsqueeze(2),
            torch.zeros_like(self.pc[3]),
        )


class Compiled(Stacked):
    """P3: torch.compile, Adam included.

    Two graphs, generator step with samples and critic step, called 1 + 5 times; or, `whole`, one
    graph of the unrolled iteration, several times slower to compile.
    """

    def __init__(self, problem, device, math, rate, how, whole=False):
        super().__init__(problem, device, math, rate, how)
        for p in (*self.pg, *self.pc):
            p.requires_grad_(False)
        self.state_g = [[torch.zeros_like(p) for p in self.pg] for _ in range(2)]
        self.state_c = [[torch.zeros_like(p) for p in self.pc] for _ in range(2)]
        self.steps = torch.zeros(2, device=self.device)  # Adam's, of generators and critics
        torch._dynamo.reset()
        compiled = lambda f: torch.compile(f, fullgraph=True, dynamic=False)
        if whole:
            self.run = compiled(self.run)
        else:
            self.generator_part = compiled(self.generator_part)
            self.critic_part = compiled(self.critic_part)

    def _adam(self, params, state, which, grads):
        self.steps[which] += 1
        count = self.steps[which]
        scale1, root2 = 1 / (1 - BETA1**count), (1 / (1 - BETA2**count)).sqrt()
        for p, m, v, g in zip(params, *state, grads):
            m.mul_(BETA1).add_(g, alpha=1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            p.sub_(self.rate * scale1 * m / (v.sqrt() * root2 + EPSILON))

    def generator_gradients(self, z):
        if self.how == "vmap":
            return super().generator_gradients(z)
        return grad(lambda pg: generator_loss(self.layout, pg, self.pc, z))(self.pg)

    def critic_gradients(self, real, fake, alpha):
        if self.how == "vmap":
            loss = lambda *a: critic_loss_functional(self.single, *a)
            return vmap(grad(loss))(self.pc, real, fake, alpha)
        loss = lambda pc: critic_loss_functional(self.layout, pc, real, fake, alpha)
        return grad(loss)(self.pc)

    def generator_part(self, z_g, z_c):
        self._adam(self.pg, self.state_g, 0, self.generator_gradients(z_g))
        return self.samples(z_c)

    def critic_part(self, rows, fake, alpha):
        real = self.data[rows] if self.how == "vmap" else self.layout.rows_of(self.data, rows)
        self._adam(self.pc, self.state_c, 1, self.critic_gradients(real, fake, alpha))

    def run(self, z_g, z_c, alpha):
        fakes = self.generator_part(z_g, z_c)
        axis = 1 if self.how == "vmap" else self.layout.axis
        for step in range(CRITIC_STEPS):
            fake = fakes.narrow(axis, step * BATCH, BATCH)
            # Slices that begin elsewhere in memory are aligned differently, which would recompile.
            self.critic_part(self.rows[step], fake.clone(), alpha[step].clone())

    def iteration(self, z_g, z_c, alpha):
        with torch.no_grad():
            self.run(z_g, z_c, alpha)

    def prepare(self):
        self.iterate(1)

    def moments(self):
        return [self.named(self.state_g[0]), self.named(self.state_c[0])]


class Graph(Peer):
    """P4, P5: another peer's whole iteration in one CUDA graph.

    The graph reads its random numbers from fixed tensors, which it also fills; the check replays a
    second graph that leaves them alone.
    """

    def __init__(self, problem, device, math, rate, inner):
        super().__init__(problem, device, math, rate)
        self.inner = inner
        self.inputs = self.given()
        self.graph = None

    def _run(self, draw):
        if draw:
            for target, fresh in zip(self.inputs, self.drawn()):
                target.copy_(fresh)
        self.inner.iteration(*self.inputs)

    def _capture(self, draw):
        # Warm-up off the default stream, as capture wants it; it also makes Adam's state.
        tensors = self._tensors()
        saved = [t.detach().clone() for t in tensors]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._run(draw)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._run(draw)
        with torch.no_grad():  # back to the first weights
            for t, old in zip(tensors, saved):
                t.copy_(old)
            for t in self._optimizer_tensors():
                t.zero_()
        torch.cuda.synchronize()
        return graph

    def _tensors(self):
        inner = self.inner
        if isinstance(inner, Loop):
            return [p for gan in inner.gans for p in (*gan[0], *gan[1])]
        return [*inner.pg, *inner.pc]

    def _optimizer_tensors(self):
        inner = self.inner
        if isinstance(inner, Compiled):
            return [*sum(inner.state_g, []), *sum(inner.state_c, []), inner.steps]
        if isinstance(inner, Loop):
            optimizers = [o for gan in inner.gans for o in gan[2:]]
        else:
            optimizers = [inner.adam_g, inner.adam_c]
        return [t for o in optimizers for s in o.state.values() for t in s.values()]

    def first(self):
        self._capture(draw=False).replay()

    def prepare(self):
        self.graph = self._capture(draw=True)

    def iterate(self, count):
        for _ in range(count):
            self.graph.replay()

    def moments(self):
        return self.inner.moments()


class Streams(Loop):
    """The pairs on side streams of their own: branches of the graph that captures them."""

    def __init__(self, problem, device, math, rate):
        super().__init__(problem, device, math, rate)
        self.streams = [torch.cuda.Stream() for _ in range(self.pairs)]

    def iteration(self, z_g, z_c, alpha):
        main = torch.cuda.current_stream()
        for n, stream in enumerate(self.streams):
            stream.wait_stream(main)
            with torch.cuda.stream(stream):
                self.train_pair(n, z_g[n], z_c[n], alpha[:, n])
        for stream in self.streams:
            main.wait_stream(stream)


def _graph_of(make):
    return lambda *a: Graph(*a, inner=make(*a))


PEERS = {
    # name: (title, devices, nets or None for all, maker)
    "torch-loop": ("PyTorch, loop over the pairs", ("cpu", "cuda"), None, Loop),
    "torch-vmap": ("PyTorch, vmap", ("cpu", "cuda"), None, lambda *a: Stacked(*a, "vmap")),
    "torch-batched": (
        "PyTorch, batched by hand",
        ("cpu", "cuda"),
        None,
        lambda *a: Stacked(*a, "batched"),
    ),
    "torch-by-hand": (
        "PyTorch, batched, penalty by hand",
        ("cpu", "cuda"),
        ("mlp", "mlp19", "mlp10"),
        ByHand,
    ),
    "torch-compile-vmap": (
        "torch.compile of vmap",
        ("cpu", "cuda"),
        None,
        lambda *a: Compiled(*a, "vmap"),
    ),
    "torch-compile-batched": (
        "torch.compile of batched",
        ("cpu", "cuda"),
        None,
        lambda *a: Compiled(*a, "batched"),
    ),
    "torch-compile-whole": (
        "torch.compile of batched, iteration unrolled",
        ("cpu", "cuda"),
        ("mlp", "mlp19", "mlp10"),
        lambda *a: Compiled(*a, "batched", True),
    ),
    "torch-graph-batched": (
        "CUDA graph of batched",
        ("cuda",),
        None,
        _graph_of(lambda *a: Stacked(*a, "batched")),
    ),
    "torch-graph-compile": (
        "CUDA graph of torch.compile (batched)",
        ("cuda",),
        None,
        _graph_of(lambda *a: Compiled(*a, "batched")),
    ),
    "torch-graph-by-hand": (
        "CUDA graph of penalty by hand",
        ("cuda",),
        ("mlp", "mlp19", "mlp10"),
        _graph_of(ByHand),
    ),
    "torch-graph-streams": ("CUDA graph, a stream per pair", ("cuda",), None, _graph_of(Streams)),
}


def make(name, problem, device, math, rate=LEARNING_RATE):
    return PEERS[name][3](problem, device, math, rate)


def devices():
    return ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
