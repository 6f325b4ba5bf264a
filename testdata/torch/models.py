"""The models that the tests have in PyTorch and in Go, and their files.

It needs torch alone, 1.13 or later: the safetensors format is written and read here by hand.
"""
import json
import struct

import torch
from torch import nn
from torch.nn.utils import parametrizations, weight_norm


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 5)
        self.bn1 = nn.BatchNorm1d(5)
        self.ln = nn.LayerNorm(5)
        self.fc2 = weight_norm(nn.Linear(5, 3))

    def forward(self, x):
        return self.fc2(self.ln(torch.relu(self.bn1(self.fc1(x)))))


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = weight_norm(nn.Conv2d(4, 4, 3, padding=1, bias=False), dim=1)
        self.gn = nn.GroupNorm(2, 4)
        self.conv3 = parametrizations.spectral_norm(nn.Conv2d(4, 4, 3, padding=1, bias=False))
        self.norm3 = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
        self.fc = weight_norm(nn.Linear(4, 3, bias=False), dim=None)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.gn(self.conv2(x)))
        x = torch.relu(self.norm3(self.conv3(x)))
        return self.fc(x.sum((2, 3)))


MODELS = {"mlp": (MLP, (6,)), "conv": (Conv, (2, 5, 5))}

TYPES = {torch.float32: ("F32", "f"), torch.float64: ("F64", "d"), torch.int64: ("I64", "q")}


def write(path, tensors):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, t in tensors.items():
        dtype, code = TYPES[t.dtype]
        values = t.detach().reshape(-1).tolist()
        packed = struct.pack("<%d%s" % (len(values), code), *values)
        header[name] = {"dtype": dtype, "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def read(path):
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(n)), f.read()
    tensors = {}
    for name, e in header.items():
        if name == "__metadata__":
            continue
        dtype, code = next((d, c) for d, (s, c) in TYPES.items() if s == e["dtype"])
        begin, end = e["data_offsets"]
        values = [v for (v,) in struct.iter_unpack("<" + code, data[begin:end])]
        tensors[name] = torch.tensor(values, dtype=dtype).reshape(e["shape"])
    return tensors
