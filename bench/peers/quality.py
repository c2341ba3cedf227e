"""Bits per byte after a fixed time of training.

    python quality.py gpt-small --minutes 10 --precision bf16 --mode eager --lr 2e-3

Only training time counts (data reading included; compilation, which happens in a few warm-up steps whose effect is
thrown away, and evaluation are excluded). The learning rate follows the share of the time that has passed: linear
warm-up over the first 2 %, then cosine to zero. AdamW (0.9, 0.99), decay 0.1 on matrices, gradient norm clipped at 1.

Evaluation: the first 500,000 bytes of the dev split, in fp32, every byte predicted once.
Recurrent models and Transformer-XL: as many streams as the training batch, each started 1,024 bytes before its first
scored byte, state and memory carried. GPT: windows of the trained context moved by half of it, so that every byte is
predicted from at least half a context.
"""
import argparse
import math
import time

import torch
import torch.nn.functional as F

import corpus
from bench_train import prepare, start_state
from models import CONFIGS

LN2 = math.log(2)


@torch.no_grad()
def bits_per_byte(model, data, batch, unroll, count=500_000):
    model.eval()
    first = corpus.train_end(data)
    total = scored = 0.0
    if model.batch_first:
        half = unroll // 2
        starts = torch.arange(first - half, first + count - half, half)
        stream = torch.from_numpy(data)
        for some in starts.split(32):
            ids = stream[some[:, None] + torch.arange(unroll)].long()
            logits, _ = model(ids)
            # positions half-1 ... unroll-2 predict bytes half ... unroll-1 of the window
            losses = F.cross_entropy(logits[:, half - 1:-1].reshape(-1, logits.shape[-1]), ids[:, half:].reshape(-1), reduction="none")
            keep = (some[:, None] + torch.arange(half, unroll) < first + count).reshape(-1)
            total, scored = total + losses[keep].sum().item(), scored + keep.sum().item()
    else:
        lead, share = 1024, count // batch
        stream = torch.from_numpy(data)
        starts = first + share * torch.arange(batch) - lead - 1
        state = start_state(model, batch)
        for at in range(0, lead + share, unroll):
            ids = stream[starts[None] + at + torch.arange(unroll + 1)[:, None]].long()
            logits, state = model(ids[:-1], None, state)
            losses = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[1:].reshape(-1), reduction="none").view(unroll, batch)
            place = at + torch.arange(unroll)
            keep = (place >= lead) & (place < lead + share)
            total, scored = total + losses[keep].sum().item(), scored + keep.sum().item() * batch
    model.train()
    return total / scored / LN2, int(scored)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config", choices=CONFIGS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--precision", choices=["fp32", "fast", "bf16"], default="bf16")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", default=corpus.DEFAULT_PATH)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = corpus.load(args.data)
    model, step, optimizer, batch, unroll = prepare(args.config, args.mode, args.precision, args.lr)
    source = corpus.Crops(data, batch, unroll) if model.batch_first else corpus.Streams(data, batch, unroll)

    kept = {name: value.clone() for name, value in model.state_dict().items()}
    state = start_state(model, batch)
    begin = time.perf_counter()
    for _ in range(3):  # compilation and warm-up
        _, state = step(*source.next(), state)
    print(f"{args.config} {vars(args)}: {sum(w.numel() for w in model.parameters()) / 1e6:.2f} M parameters, "
          f"preparation {time.perf_counter() - begin:.0f} s", flush=True)
    model.load_state_dict(kept)
    optimizer.state.clear()
    source.at, state = 0, start_state(model, batch)

    budget, steps, seen, shown = 60 * args.minutes, 0, 0.0, 0
    begin = time.perf_counter()
    while (passed := time.perf_counter() - begin) < budget:
        share = passed / budget
        rate = args.lr * min(1.0, (share + 1e-4) / 0.02) * 0.5 * (1 + math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, state = step(*source.next(), state)
        steps += 1
        seen = loss.item() if not seen else 0.97 * seen + 0.03 * loss.item()
        if passed > (shown + 1) * budget / 10:
            shown += 1
            print(f"  {passed:6.0f} s  step {steps}  train {seen / LN2:.3f} bits", flush=True)
    trained = time.perf_counter() - begin
    begin = time.perf_counter()
    bits, scored = bits_per_byte(model, data, batch, unroll)
    print(f"RESULT {args.config} {args.mode} {args.precision} lr {args.lr} threads {args.threads}: "
          f"{bits:.4f} bits per byte over {scored} bytes; {steps} steps, {steps * batch * unroll / 1e6:.2f} MB in {trained:.1f} s, "
          f"{steps * batch * unroll / trained:.0f} tokens/s, last train {seen / LN2:.3f}; evaluation {time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
