"""Trains the models for a few steps and writes, for each, its state and what it gives:

    python3 make.py

NAME.safetensors is the state_dict in float32. NAME-case.safetensors has an input x, the
logits of that state in evaluation, computed in float64, and tolerances for them: 8 times
the worst deviation of 16 evaluations in which every parameter and every layer's output is
off by up to one roundoff of the dtype, as in internal/golden/testdata.
"""
import os

import torch
from torch import nn

from models import MODELS, write


def tolerance(model, x, logits, roundoff):
    def off(t):
        return t * (1 + roundoff * (2 * torch.rand_like(t) - 1))

    state = {k: v.clone() for k, v in model.state_dict().items()}
    hooks = [m.register_forward_hook(lambda m, i, y: off(y)) for m in model.children()]
    worst = 0.0
    for _ in range(16):
        model.load_state_dict({k: off(v) if v.is_floating_point() else v for k, v in state.items()})
        worst = max(worst, (model(x) - logits).abs().max().item())
    for h in hooks:
        h.remove()
    model.load_state_dict(state)
    return torch.tensor(max(8 * worst, 4 * roundoff * logits.abs().max().item()), dtype=torch.float64)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    torch.set_num_threads(1)
    for name, (make, shape) in MODELS.items():
        torch.manual_seed(1)
        model = make()
        for p in model.parameters():  # what starts at 0 or 1 is to be told apart
            p.data += 0.3 * torch.randn_like(p)
        solver = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        x, labels = torch.randn(32, *shape) * 2 + 1, torch.randint(3, (32,))
        for _ in range(10):
            solver.zero_grad()
            loss = nn.functional.cross_entropy(model(x), labels)
            loss.backward()
            solver.step()
        write(os.path.join(here, name + ".safetensors"), model.state_dict())
        model.eval().double()
        with torch.no_grad():
            x = x[:4]
            logits = model(x.double())
            write(os.path.join(here, name + "-case.safetensors"), {
                "x": x,
                "logits": logits,
                "float32": tolerance(model, x.double(), logits, 2.0**-24),
                "float64": tolerance(model, x.double(), logits, 2.0**-53),
            })
        print(name, loss.item(), logits.abs().max().item())


main()
