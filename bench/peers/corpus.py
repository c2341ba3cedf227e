"""The byte corpus: a text file, plain or .xz; the first 90 % is train, the next 5 % dev, the last 5 % test."""
import lzma
import os
import tempfile

import numpy as np
import torch

DEFAULT_PATH = os.environ.get("CORPUS", "books8.xz")


def load(path=DEFAULT_PATH):
    """All bytes as a uint8 array; an unpacked file is kept in the temporary folder."""
    if not path.endswith(".xz"):
        return np.fromfile(path, dtype=np.uint8)
    cache = os.path.join(tempfile.gettempdir(), os.path.basename(path) + ".unpacked")
    if not os.path.exists(cache):
        with lzma.open(path) as packed, open(cache + ".part", "wb") as unpacked:
            unpacked.write(packed.read())
        os.rename(cache + ".part", cache)
    return np.fromfile(cache, dtype=np.uint8)


def train_end(data):
    return len(data) * 9 // 10


class Streams:
    """`batch` contiguous pieces of the train split, read in step; time first: x, y are [unroll, batch]."""

    def __init__(self, data, batch, unroll):
        length = train_end(data) // batch
        self.pieces = torch.from_numpy(data[:length * batch].reshape(batch, length).copy())
        self.unroll, self.at = unroll, 0

    def next(self):
        if self.at + self.unroll + 1 > self.pieces.shape[1]:
            self.at = 0
        cut = self.pieces[:, self.at:self.at + self.unroll + 1].long().t()
        self.at += self.unroll
        return cut[:-1].contiguous(), cut[1:].contiguous()


class Crops:
    """Random pieces of the train split, batch first: x, y are [batch, context]."""

    def __init__(self, data, batch, context, seed=1):
        self.data, self.batch, self.context = torch.from_numpy(data[:train_end(data)]), batch, context
        self.random = torch.Generator().manual_seed(seed)

    def next(self):
        starts = torch.randint(0, len(self.data) - self.context - 1, (self.batch, 1), generator=self.random,
                               device="cpu")
        cut = self.data[starts + torch.arange(self.context + 1, device="cpu")].long()
        return cut[:, :-1].contiguous(), cut[:, 1:].contiguous()
