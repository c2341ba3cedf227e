#!/usr/bin/env python3
"""The numbers of tests/golden/lora_test.cpp: a product with an update of low rank (Hu et al. 2022, section 4.1), as the
paper runs it, the update apart from the weights:

    y = x W^T + alpha / rank (x down^T) up^T

with one update for each of the matrices that stand in one. With --peft (PyPI peft and torch) the same by peft's layer.
"""
import sys

import numpy as np

from golden import Golden, cosine, exit_with, gradient, wave

STACKED, ROWS, COLUMNS, RANK, ALPHA = 2, 3, 4, 2, 3.0


def forward(p):
    parts = []
    for i in range(STACKED):
        rows, ranks = slice(i * ROWS, (i + 1) * ROWS), slice(i * RANK, (i + 1) * RANK)
        parts.append(p["x"] @ p["w"][rows].T + ALPHA / RANK * (p["x"] @ p["down"][ranks].T) @ p["up"][rows].T)
    return np.concatenate(parts, axis=1)


def loss(p):
    y = forward(p)
    return (y * cosine(y.shape, .3)).sum()


def by_peft(p):
    """Outputs and gradients of up and down, a layer for each matrix."""
    import peft
    import torch

    outputs, ups, downs = [], [], []
    for i in range(STACKED):
        rows, ranks = slice(i * ROWS, (i + 1) * ROWS), slice(i * RANK, (i + 1) * RANK)
        model = torch.nn.Sequential(torch.nn.Linear(COLUMNS, ROWS, bias=False, dtype=torch.float64))
        config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["0"])
        model = peft.get_peft_model(model, config, autocast_adapter_dtype=False)
        layer = model.base_model.model[0]
        values = {layer.base_layer: p["w"][rows], layer.lora_A["default"]: p["down"][ranks],
                  layer.lora_B["default"]: p["up"][rows]}
        for linear, value in values.items():
            linear.weight.data = torch.from_numpy(value.copy())
        y = model(torch.from_numpy(p["x"]))
        weights = torch.from_numpy(cosine((len(p["x"]), STACKED * ROWS), .3)[:, rows].copy())
        (y * weights).sum().backward()
        outputs.append(y.detach().numpy())
        ups.append(layer.lora_B["default"].weight.grad.numpy())
        downs.append(layer.lora_A["default"].weight.grad.numpy())
    return np.concatenate(outputs, axis=1), np.concatenate(ups), np.concatenate(downs)


if __name__ == "__main__":
    golden = Golden("golden/lora_test.cpp")
    values = {"x": wave((5, COLUMNS), .7, .2, 1.0), "w": wave((STACKED * ROWS, COLUMNS), .31, .4, .8),
              "up": wave((STACKED * ROWS, RANK), .53, .1, .5), "down": wave((STACKED * RANK, COLUMNS), .37, .9, .6)}
    y, d_up, d_down = forward(values), gradient(loss, values, "up"), gradient(loss, values, "down")
    if "--peft" in sys.argv:
        differences = [np.abs(ours - theirs).max() for ours, theirs in zip((y, d_up, d_down), by_peft(values))]
        print("largest differences to peft (outputs, up, down):", *(f"{each:.1e}" for each in differences))
        assert max(differences) < 1e-12
    golden.expect("y[0]", y[0], 10)
    golden.expect("y[4]", y[4], 10)
    golden.expect("gradient of up", d_up, 10)
    golden.expect("gradient of down", d_down, 10)
    exit_with(golden)
