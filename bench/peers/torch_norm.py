#!/usr/bin/env python3
"""Times PyTorch's CPU norms; one JSON object a line.

  torch_norm.py [--config default,warm,tuned,tuned-omp] [--threads 1,2] [--dtype float32,float64]
      [--filter REGEX]... [--min-time 0.25] [--list] [--show]

Keys of a line: system, name, shape, dtype, threads, pass, median_us, p10, p90,
min_us, n (samples), inner (calls in one sample), bytes_moved_min, GBps, and
where it makes sense flops, GFLOPS, steps_per_s.

Configurations (each needs the environment set before the libraries load, so
the program starts itself anew, once per configuration and thread count):
  default  as a user of Debian's packages runs it
  warm     the same, but the C allocator keeps freed memory instead of giving
           it back to the system after each large tensor (no page faults)
  tuned    warm, and AVX-512 asked for in both ATen and OpenBLAS, where the
           processor has it (neither picks it on its own everywhere)
  tuned-omp  tuned, with OpenBLAS's OpenMP build (Debian's libopenblas0-openmp)
           in the place of its pthread build: with two threads the latter keeps
           a second pool of threads that competes with PyTorch's. Matters
           for matrix products only, and only those are timed

bytes_moved_min is what the pass must read and what it must write, whatever the
algorithm: each tensor once, but in fwdbwd the input of a norm twice. Passes:
  fwd      under no_grad, output allocated on each call
  fwdbwd   forward with the graph, then backward with a given output gradient
           for the input and every parameter (old gradients dropped first)
  bwd      backward alone, through autograd, graph kept
  fwd_raw  the ATen operator without the nn.Module around it (no_grad)
  bwd_raw  the ATen backward operator alone
  step     one optimizer step of a model

A filter is a regular expression on "name shape dtype pass", the shape as
32x64; if there are several all must match. A way to do the same thing is
found by the common name too: weight_norm_composed as weight_norm,
mlp_small_foreach as mlp_small, fwd_raw as fwd.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import sysconfig
import time

WARM = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
OMP_BLAS = os.path.join("/usr/lib", sysconfig.get_config_var("MULTIARCH") or "", "openblas-openmp")


def has_avx512():
    try:
        with open("/proc/cpuinfo") as f:
            return "avx512bw" in f.read()
    except OSError:
        return False


TUNED = dict(WARM, ATEN_CPU_CAPABILITY="avx512", OPENBLAS_CORETYPE="SkylakeX") if has_avx512() else WARM
CONFIGS = {
    "default": {},
    "warm": WARM,
    "tuned": TUNED,
    "tuned-omp": dict(TUNED, LD_LIBRARY_PATH=OMP_BLAS),
}

NORM_PASSES = ("fwd", "fwdbwd", "bwd", "fwd_raw", "bwd_raw")
LAYERNORM = [(32, 64), (128, 256), (512, 768), (4096, 1024), (8192, 4096), (64, 128, 768)]
BATCHNORM1D = [(64, 200), (512, 1024), (8192, 512), (65536, 256)]
BATCHNORM2D = [(32, 64, 56, 56), (64, 256, 14, 14), (16, 3, 224, 224)]
WEIGHTNORM = [(50, 100), (1024, 1024), (4096, 4096)]
LINEAR = [(32, 100, 50), (256, 1024, 1024), (512, 4096, 4096)]
# The other norms: names, shapes, and whether autograd's backward is timed alone.
FAMILY = [
    (("rmsnorm_composed", "layernorm_residual"), [(512, 768), (4096, 1024), (64, 128, 768)]),
    (("layernorm_channels", "layernorm_channels_composed", "groupnorm"), [(32, 64, 56, 56), (64, 256, 14, 14)]),
    (("instancenorm",), [(32, 64, 56, 56), (16, 3, 224, 224)]),
    (("masked_batchnorm_composed",), [(64, 128, 100), (32, 64, 56, 56)]),
    (("normalize",), [(512, 768), (4096, 1024)]),
    (("local_response_norm",), [(32, 64, 56, 56), (64, 256, 14, 14)]),
    (("spectral_norm",), [(256, 2304), (1024, 1024)]),
]
WITHOUT_BWD = ("layernorm_residual", "spectral_norm")
SMALL, BIG = (64, 100, 200, 10), (128, 784, 512, 512, 10)
EPS, MOMENTUM = 1e-5, 0.1


def cases():
    """Yields (name, shape, passes)."""
    for s in LAYERNORM:
        yield "layernorm", s, NORM_PASSES
    for kind, shapes in (("1d", BATCHNORM1D), ("2d", BATCHNORM2D)):
        for s in shapes:
            yield "batchnorm%s_train" % kind, s, NORM_PASSES
            yield "batchnorm%s_eval" % kind, s, ("fwd",)
    for s in WEIGHTNORM:
        yield "weight_norm", s, ("fwd", "fwdbwd", "bwd")
        yield "weight_norm_composed", s, ("fwd", "fwdbwd", "bwd")
    for s in LINEAR:
        yield "weightnorm_linear", s, ("fwd", "fwdbwd")
        yield "linear", s, ("fwd", "fwdbwd")
    for names, shapes in FAMILY:
        for s in shapes:
            for name in names:
                yield name, s, ("fwd", "fwdbwd") if name in WITHOUT_BWD else ("fwd", "fwdbwd", "bwd")
    for variant in ("", "_foreach", "_layernorm", "_nonorm"):
        yield "mlp_small" + variant, SMALL, ("step",)
        yield "mlp_big" + variant, BIG, ("step",)


def numel(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def key(name, shape, dtype, pas):
    return "%s %s %s %s" % (name, "x".join(map(str, shape)), dtype, pas)


def wanted(filters, name, shape, dtype, pas):
    common = re.sub("_composed$|_foreach$", "", name)
    keys = [key(n, shape, dtype, p) for n in (name, common) for p in (pas, re.sub("_raw$", "", pas))]
    return any(all(f.search(k) for f in filters) for k in keys)


def sample(fn, min_time, min_n=11, max_n=3000):
    t0 = time.perf_counter_ns()
    for _ in range(3):
        fn()
    t1 = time.perf_counter_ns()
    if t1 - t0 < 50_000_000:
        for _ in range(10):
            fn()
    one = None
    for _ in range(3):  # the lowest: a pause must not decide
        t0 = time.perf_counter_ns()
        fn()
        t = time.perf_counter_ns() - t0
        one = t if one is None else min(one, t)
    inner = 1 if one > 40_000 else int(80_000 / max(one, 200)) + 1
    out = []
    end = time.perf_counter_ns() + int(min_time * 1e9)
    while (time.perf_counter_ns() < end or len(out) < min_n) and len(out) < max_n:
        t0 = time.perf_counter_ns()
        for _ in range(inner):
            fn()
        out.append((time.perf_counter_ns() - t0) / inner / 1e3)
    out.sort()
    return out, inner


def emit(a, name, shape, dtype, pas, fn, nbytes, flops):
    s, inner = sample(fn, a.min_time)
    med = s[len(s) // 2]
    r = dict(system="torch-" + a.config, name=name, shape=list(shape), dtype=dtype, threads=a.nthreads)
    r["pass"] = pas
    r.update(
        median_us=round(med, 3), p10=round(s[len(s) // 10], 3), p90=round(s[len(s) * 9 // 10], 3),
        min_us=round(s[0], 3), n=len(s), inner=inner, bytes_moved_min=nbytes,
        GBps=round(nbytes / med * 1e-3, 2),
    )
    if flops:
        r["flops"] = flops
        r["GFLOPS"] = round(flops / med * 1e-3, 1)
    if pas == "step":
        r["steps_per_s"] = round(1e6 / med, 1)
    print(json.dumps(r), flush=True)


def forget(tensors):
    for t in tensors:
        t.grad = None


def no_grad(torch, f):
    def fn():
        with torch.no_grad():
            f()
    return fn


def fwdbwd(f, dy, tensors):
    def fn():
        forget(tensors)
        f().backward(dy)
    return fn


# Each of these yields (pass, function, bytes, flops) for the passes asked for.

def activation_norm(torch, name, shape, dt, passes):
    """Layer norm and batch norm."""
    nn = torch.nn
    x, dy = torch.randn(*shape, dtype=dt), torch.randn(*shape, dtype=dt)
    if name == "layernorm":
        m = nn.LayerNorm(shape[-1]).to(dt)
    else:
        m = (nn.BatchNorm1d if "1d" in name else nn.BatchNorm2d)(shape[1]).to(dt)
        m.train(name.endswith("_train"))
    with torch.no_grad():
        m.weight.uniform_(0.5, 1.5)
        m.bias.uniform_(-1, 1)
    w, b = m.weight, m.bias
    nb = x.numel() * x.element_size()
    if name == "layernorm":
        def raw():
            return torch.native_layer_norm(x, [shape[-1]], w, b, EPS)

        def raw_bwd(mean, rstd):
            return torch.ops.aten.native_layer_norm_backward(
                dy, x, [shape[-1]], mean, rstd, w, b, [True, True, True])
    else:
        def raw():
            return torch.native_batch_norm(x, w, b, m.running_mean, m.running_var, True, MOMENTUM, EPS)

        def raw_bwd(mean, rstd):
            return torch.ops.aten.native_batch_norm_backward(
                dy, x, w, m.running_mean, m.running_var, mean, rstd, True, EPS, [True, True, True])
    for p in passes:
        x.requires_grad_(p in ("fwdbwd", "bwd"))
        if p == "fwd":
            yield p, no_grad(torch, lambda: m(x)), 2 * nb, 0
        elif p == "fwdbwd":
            yield p, fwdbwd(lambda: m(x), dy, (x, w, b)), 5 * nb, 0
            forget((x, w, b))
        elif p == "bwd":
            y = m(x)
            yield p, lambda: torch.autograd.grad(y, (x, w, b), dy, retain_graph=True), 3 * nb, 0
            del y
        elif p == "fwd_raw":
            with torch.no_grad():
                yield p, raw, 2 * nb, 0
        elif p == "bwd_raw":
            with torch.no_grad():
                _, mean, rstd = raw()
                yield p, lambda: raw_bwd(mean, rstd), 3 * nb, 0


def weight_norm(torch, name, shape, dt, passes):
    v = torch.randn(*shape, dtype=dt, requires_grad=True)
    g = torch.rand(shape[0], 1, dtype=dt).add_(0.5).requires_grad_(True)
    dw = torch.randn(*shape, dtype=dt)
    nb = v.numel() * v.element_size()
    if name == "weight_norm":
        def f():
            return torch._weight_norm(v, g, 0)
    else:
        def f():
            return g.view(-1, 1) * v / torch.norm(v, dim=1, keepdim=True)
    for p in passes:
        if p == "fwd":
            yield p, no_grad(torch, f), 2 * nb, 0
        elif p == "fwdbwd":
            yield p, fwdbwd(f, dw, (v, g)), 5 * nb, 0
        elif p == "bwd":
            w = f()
            yield p, lambda: torch.autograd.grad(w, (v, g), dw, retain_graph=True), 3 * nb, 0
            del w


def linear(torch, name, shape, dt, passes):
    batch, i, o = shape
    m = torch.nn.Linear(i, o).to(dt)
    if name == "weightnorm_linear":
        m = torch.nn.utils.weight_norm(m)
    x = torch.randn(batch, i, dtype=dt, requires_grad=True)
    dy = torch.randn(batch, o, dtype=dt)
    flops, nb = 2 * batch * i * o, (batch * i + i * o + batch * o) * x.element_size()
    for p in passes:
        if p == "fwd":
            yield p, no_grad(torch, lambda: m(x)), nb, flops
        else:
            yield p, fwdbwd(lambda: m(x), dy, list(m.parameters()) + [x]), 2 * nb, 3 * flops


def family(torch, name, shape, dt, passes):
    """The other norms. (x*x is faster than x.pow(2) here.)"""
    F = torch.nn.functional
    x, dy = torch.randn(*shape, dtype=dt), torch.randn(*shape, dtype=dt)
    channels = shape[-1] if name in ("rmsnorm_composed", "layernorm_residual") else shape[1]
    w, b = torch.rand(channels, dtype=dt) + 0.5, torch.rand(channels, dtype=dt) * 2 - 1
    args = (x, w, b)
    if name == "rmsnorm_composed":
        args = (x, w)

        def f():
            return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + EPS) * w
    elif name == "layernorm_residual":
        r = torch.randn(*shape, dtype=dt)
        args = (x, r, w, b)

        def f():
            return F.layer_norm(x + r, (channels,), w, b, EPS)
    elif name == "layernorm_channels":
        def f():
            return F.layer_norm(x.permute(0, 2, 3, 1), (channels,), w, b, EPS).permute(0, 3, 1, 2)
    elif name == "layernorm_channels_composed":
        def f():
            d = x - x.mean(1, keepdim=True)
            d = d * torch.rsqrt((d * d).mean(1, keepdim=True) + EPS)
            return d * w[:, None, None] + b[:, None, None]
    elif name == "groupnorm":
        def f():
            return F.group_norm(x, min(32, channels // 2), w, b, EPS)
    elif name == "instancenorm":
        args = (x,)

        def f():
            return F.instance_norm(x, eps=EPS)
    elif name == "masked_batchnorm_composed":
        n, last = shape[0], shape[-1]
        lengths = torch.ceil(last * (0.4 + 0.6 * torch.arange(1, n + 1, dtype=torch.float64) / n))
        mask = (torch.arange(last) < lengths[:, None]).to(dt).view(n, *[1] * (len(shape) - 2), last).expand(n, 1, *shape[2:])
        count, axes, per = mask.sum(), [0] + list(range(2, len(shape))), (-1,) + (1,) * (len(shape) - 2)

        def f():
            mean = (x * mask).sum(axes, keepdim=True) / count
            d = (x - mean) * mask
            var = (d * d).sum(axes, keepdim=True) / count
            return (d * torch.rsqrt(var + EPS) * w.view(per) + b.view(per)) * mask
    elif name == "normalize":
        args = (x,)

        def f():
            return F.normalize(x, dim=1)
    elif name == "local_response_norm":
        args = (x,)

        def f():
            return F.local_response_norm(x, 5)
    else:
        m = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(shape[1], shape[0], bias=False).to(dt))
        args = tuple(m.parameters())

        def f():
            return m.weight
    nb = x.numel() * x.element_size()
    fwd, both = (4, 7) if name == "layernorm_residual" else (2, 5)
    for p in passes:
        for a in args:
            a.requires_grad_(p != "fwd")
        if p == "fwd":
            yield p, no_grad(torch, f), fwd * nb, 0
        elif p == "fwdbwd":
            yield p, fwdbwd(f, dy, args), both * nb, 0
            forget(args)
        else:
            y = f()
            yield p, lambda: torch.autograd.grad(y, args, dy, retain_graph=True), 3 * nb, 0
            del y


def mlp(torch, name, shape, dt, _):
    nn = torch.nn
    batch, *sizes = shape
    layers = []
    for k in range(1, len(sizes)):
        layers.append(nn.Linear(sizes[k - 1], sizes[k]))
        if k < len(sizes) - 1:
            if name.endswith("_layernorm"):
                layers.append(nn.LayerNorm(sizes[k]))
            elif not name.endswith("_nonorm"):
                layers.append(nn.BatchNorm1d(sizes[k]))
            layers.append(nn.ReLU())
    m = nn.Sequential(*layers).to(dt)
    x = torch.randn(batch, sizes[0], dtype=dt)
    t = torch.randint(0, sizes[-1], (batch,))
    opt = torch.optim.Adam(m.parameters(), lr=1e-3, foreach=name.endswith("_foreach"))
    flops = sum(6 * batch * l.in_features * l.out_features for l in m if isinstance(l, nn.Linear))

    def step():
        opt.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(m(x), t).backward()
        opt.step()

    # value, gradient and two moments of each parameter
    yield "step", step, 7 * sum(p.numel() for p in m.parameters()) * x.element_size(), flops


def worker(a):
    todo = [(dtype,) + c for dtype in a.dtype.split(",") for c in selected(a, dtype)]
    if a.config == "tuned-omp":  # no matrix product, no difference
        todo = [c for c in todo if "linear" in c[1] or "mlp" in c[1]]
    if not todo:
        return
    import torch
    torch.set_num_threads(a.nthreads)
    if a.show:
        print(torch.__version__, torch.__config__.show(), torch.__config__.parallel_info())
        return
    for dtype, name, shape, passes in todo:
        torch.manual_seed(1)
        if any(name in names for names, _ in FAMILY):
            program = family
        elif name.startswith(("layernorm", "batchnorm")):
            program = activation_norm
        elif name.startswith("weight_norm"):
            program = weight_norm
        else:
            program = mlp if name.startswith("mlp") else linear
        for pas, fn, nbytes, flops in program(torch, name, shape, getattr(torch, dtype), passes):
            emit(a, name, shape, dtype, pas, fn, nbytes, flops)


def selected(a, dtype):
    """Yields the cases with the passes asked for."""
    filters = [re.compile(f) for f in a.filter]
    for name, shape, passes in cases():
        passes = [p for p in passes if wanted(filters, name, shape, dtype, p)]
        if passes:
            yield name, shape, passes


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--config", default="default,tuned", help="of " + ", ".join(CONFIGS))
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--dtype", default="float32,float64")
    ap.add_argument("--filter", action="append", default=[])
    ap.add_argument("--min-time", type=float, default=0.25)
    ap.add_argument("--list", action="store_true", help="print the cases")
    ap.add_argument("--show", action="store_true", help="print what the library says of itself")
    ap.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    ap.add_argument("--nthreads", type=int, default=1, help=argparse.SUPPRESS)
    a = ap.parse_args()
    for what, given, known in (("config", a.config, CONFIGS), ("dtype", a.dtype, ("float32", "float64"))):
        for one in given.split(","):
            if one not in known:
                ap.error("no %s %r, want %s" % (what, one, ", ".join(known)))
    if a.list:
        for dtype in a.dtype.split(","):
            for name, shape, passes in selected(a, dtype):
                for p in passes:
                    print(key(name, shape, dtype, p))
        return
    if a.worker:
        worker(a)
        return
    for config in a.config.split(","):
        if config == "tuned-omp" and not os.path.isdir(OMP_BLAS):
            print("no OpenMP build of OpenBLAS here", file=sys.stderr)
            continue
        for t in a.threads.split(","):
            env = dict(os.environ)
            env.update(CONFIGS[config])
            env["OMP_NUM_THREADS"] = env["OPENBLAS_NUM_THREADS"] = t
            args = [sys.executable, os.path.abspath(__file__), "--worker", "--config", config, "--nthreads", t,
                    "--dtype", a.dtype, "--min-time", str(a.min_time)]
            args += ["--filter=" + f for f in a.filter]
            args += ["--show"] if a.show else []
            subprocess.run(args, env=env, check=True)


if __name__ == "__main__":
    main()
