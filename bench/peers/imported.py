"""What the checks of imported weights share: a random model of another program, its weights through `lithe import`, and the
bits per byte that `lithe eval` gives them."""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def randomize(model):
    """Numbers of any size everywhere, so that a part that is left out shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            gain = name.lower().endswith(("layer_norm.weight", "layernorm.weight"))
            weight.copy_(torch.randn(weight.shape, generator=generator) * (0.1 if gain else 0.3) + gain)
    return model


def lithe_bits(lithe, folder, model, text, config, sets, flags):
    save_file({name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()}, folder / "w.safetensors")
    (folder / "c.toml").write_text(config)
    sets = [f"data.path={text}", "data.vocabulary=all", *sets]
    def call(arguments):
        done = subprocess.run([lithe, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    call(["import", folder / "w.safetensors", "--config", folder / "c.toml", "--out", folder / "m", "--json",
          *[flag for each in sets for flag in ("--set", each)]])
    return call(["eval", folder / "m", "--data", text, "--precision", "fp32", "--batch", 1, "--json", *flags])["bits_per_byte"]


def check(lines, description):
    """Of each (name, model, the bits that it gives ids, configuration, settings, flags of eval) prints both figures and how
    far they are apart; exits with 1 where that is more than 1e-5. `lines` is given the ids of a random text, of letters and signs."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lithe", type=pathlib.Path, default=ROOT / "build/release/lithe")
    args = parser.parse_args()
    random.seed(1)
    text = bytes(random.randrange(32, 127) for _ in range(1500))
    worst = 0.0
    for name, model, theirs, config, sets, flags in lines(torch.tensor(list(text))):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "text.txt"
            path.write_bytes(text)
            ours = lithe_bits(args.lithe, pathlib.Path(folder), model, path, config, sets, flags)
        worst = max(worst, abs(ours / theirs - 1))
        print(f"{name:28} {theirs:.7f} {ours:.7f} {ours / theirs - 1:+.1e}", flush=True)
    sys.exit(worst > 1e-5)
