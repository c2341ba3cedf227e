"""What the scripts make_*.py share: the inputs of the golden tests, derivatives, and the look into the tests.

The scripts write down the papers' formulas once more, plainly and in float64, and print the numbers that the tests expect.
Each ends by looking them up in its test, so that running one tells whether the two still agree. They need numpy.
"""
import pathlib
import re
import sys

import numpy as np

TESTS = pathlib.Path(__file__).resolve().parent.parent
LITERAL = re.compile(r"(?<![\w.])-?(?:\d[\d']*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")


def wave(sizes, a, b, scale):
    """scale sin(a i + b) for i = 0, 1, ..., the last index fastest (tests/support/waves.h)."""
    sizes = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    return (scale * np.sin(a * np.arange(np.prod(sizes)) + b)).reshape(sizes)


def cosine(sizes, a, b=0.0):
    return wave(sizes, a, b + np.pi / 2, 1.0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    """Over the last axis; analytic, so that it can be differentiated below."""
    e = np.exp(x - np.max(x.real, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


PLACES, WEIGHTS = np.polynomial.legendre.leggauss(60)


def erf(x):
    """By quadrature from 0 to x, so that it takes complex numbers."""
    t = (PLACES + 1) / 2
    return 2 / np.sqrt(np.pi) * x * (WEIGHTS / 2 * np.exp(-(x[..., None] * t) ** 2)).sum(-1)


def gelu(x):
    return x / 2 * (1 + erf(x / np.sqrt(2)))


def norm(x, gain=1.0, bias=0.0, epsilon=1e-5):
    """Layer norm over the last axis (Ba et al. 2016)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + epsilon) * gain + bias


def gradient(loss, values, name):
    """d loss / d values[name] by a complex step, exact to rounding: Im loss(x + ih) / h (Squire & Trapp 1998)."""
    step = 1e-30
    found = np.zeros(values[name].shape)
    for at in np.ndindex(found.shape):
        moved = values[name].astype(complex)
        moved[at] += 1j * step
        found[at] = loss({**values, name: moved}).imag / step
    return found


class Golden:
    """Prints numbers, and finds them as one row of literals in a test."""

    def __init__(self, test):
        self.test = test
        text = re.sub(r"//[^\n]*", "", (TESTS / test).read_text())
        self.literals = [(each.replace("'", ""), float(each.replace("'", ""))) for each in LITERAL.findall(text)]
        self.missing = self.found = 0

    def expect(self, name, values, digits=6):
        """Numbers to `digits` places behind the point, or significant ones where digits is a format such as ".9g"."""
        rounding = f".{digits}f" if isinstance(digits, int) else digits
        texts = [format(float(each) + 0.0, rounding) for each in np.ravel(np.asarray(values, dtype=float))]
        there = any(all(self.same(self.literals[at + i], text) for i, text in enumerate(texts))
                    for at in range(len(self.literals) - len(texts) + 1))
        self.found, self.missing = self.found + there, self.missing + (not there)
        print(f"{'' if there else 'NOT IN THE TEST  '}{name}: {' '.join(texts)}")

    @staticmethod
    def same(literal, text):
        # a test may print one digit less, or round the last one otherwise
        places = len(text.split(".")[1].split("e")[0]) if "." in text else 0
        exponent = int(text.split("e")[1]) if "e" in text else 0
        return abs(literal[1] - float(text)) <= 1.01 * 10.0 ** (exponent - places)

    def end(self):
        print(f"{self.found} of {self.found + self.missing} rows stand in tests/{self.test}")
        return self.missing


def exit_with(*goldens):
    sys.exit(sum(each.end() for each in goldens) > 0)
