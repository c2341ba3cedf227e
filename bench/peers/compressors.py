"""Bits per byte of general compressors on the first 500,000 bytes of the dev split.

    python compressors.py              with nothing seen before
    python compressors.py --primed     also PPMd that has read the training split first (2 GB of memory)
"""
import argparse
import bz2
import gzip
import lzma
import time

import pyppmd

import corpus


def primed(train, data):
    """What PPMd writes for `data` after `train`. It goes on learning while it does."""
    encoder = pyppmd.Ppmd7Encoder(12, 1900 << 20)
    encoder.encode(train)
    return encoder.encode(data) + encoder.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=corpus.DEFAULT_PATH)
    parser.add_argument("--primed", action="store_true")
    args = parser.parse_args()
    data = corpus.load(args.data)
    first = corpus.train_end(data)
    train, data = data[:first].tobytes(), data[first:first + 500_000].tobytes()
    runs = [("gzip -9", lambda: gzip.compress(data, 9)), ("bzip2 -9", lambda: bz2.compress(data, 9)),
            ("xz -9e", lambda: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))]
    for order in (4, 5, 6, 8):
        runs.append((f"PPMd order {order}", lambda order=order: pyppmd.compress(data, max_order=order, mem_size=256 << 20, variant="H")))
    if args.primed:
        runs.append(("PPMd order 12, primed", lambda: primed(train, data)))
    for name, run in runs:
        begin = time.perf_counter()
        size = len(run())
        print(f"{name:22s} {8 * size / len(data):.4f} bits per byte, {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
