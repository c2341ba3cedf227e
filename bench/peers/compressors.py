"""Bits per byte of general compressors on the first 500,000 bytes of the dev split, with nothing seen before.

    python compressors.py
"""
import argparse
import bz2
import lzma
import time

import pyppmd

import corpus


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=corpus.DEFAULT_PATH)
    args = parser.parse_args()
    data = corpus.load(args.data)
    first = corpus.train_end(data)
    data = data[first:first + 500_000].tobytes()
    runs = [("bzip2 -9", lambda: bz2.compress(data, 9)), ("xz -9e", lambda: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))]
    for order in (4, 5, 6, 8):
        runs.append((f"PPMd order {order}", lambda order=order: pyppmd.compress(data, max_order=order, mem_size=256 << 20, variant="H")))
    for name, run in runs:
        begin = time.perf_counter()
        size = len(run())
        print(f"{name:14s} {8 * size / len(data):.4f} bits per byte, {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
