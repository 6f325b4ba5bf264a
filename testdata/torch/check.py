"""Loads states that Go wrote, strictly, and compares the logits:

    python3 check.py NAME state.safetensors case.safetensors ...

A case has an input x, logits, and a tolerance for them.
"""
import sys

import torch

from models import MODELS, read


def check(name, state, case):
    model = MODELS[name][0]().double()
    model.load_state_dict(read(state))
    model.eval()
    case = read(case)
    with torch.no_grad():
        worst = (model(case["x"].double()) - case["logits"]).abs().max().item()
    tolerance = case["tolerance"].item()
    print("%s: worst deviation %.3g, tolerance %.3g" % (state, worst, tolerance))
    return worst <= tolerance


args = sys.argv[1:]
sys.exit(0 if args and all([check(*args[i : i + 3]) for i in range(0, len(args), 3)]) else 1)
