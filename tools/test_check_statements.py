#!/usr/bin/env python3
"""check_statements.py finds chains wherever statements stand, and nothing else."""
import unittest

from check_statements import chains

CHAINS = {  # a chain of two: the line on which it is told
    "a = 1, b = 2;": 1,
    "void f() {\n    a.b[i, j] += 1, *p = 2;\n}": 2,
    "if (x)\n    a = 1, ++b;": 2,
    "if (x) {\n    a;\n} else if (y) p->q = 1, r--;": 3,
    "for (i = 0; i < n; ++i, ++j)\n    f(a, b), c = 1;": 2,
    "switch (x) {\n    case A: a = 1, b = 2; break;\n}": 2,
    "switch (x) {\n    case T::A: a += 1, f();\n}": 2,
    "auto f = [&](int n) {\n    a = n, b = n;\n};": 2,
    "call({.a = 1, .b = [&] {\n    c = 1, d = 2;\n}});": 2,
    "x = {.a = 1, .b = 2}, y = 3;": 1,
}
OTHERS = [
    "int a = 1, b = 2;", "const auto *a = f(), *b = g();", "std::map<int, int> a;", "for (i = 0, j = 1; i < n; ++i, ++j) f();",
    "enum class E { a, b };", "f(a = 1, b = 2);", "x = {.a = 1, .b = 2};", "return {a, b};", "v.field({.a = 1, .b = 2}, x);",
    "struct S {\n    int a = 1;\n    T b{1, 2}, c;\n};", "f([&] { a = 1; }, b);", "// a = 1, b = 2;\nx = 1;",
    's = "a = 1, b = 2;";', "template <class A, class B> void f();", "if (f({1, 2}, a)) b = 1;",
]


class Statements(unittest.TestCase):
    def test_finds_chains(self):
        for text, line in CHAINS.items():
            self.assertEqual(list(chains(text)), [(line, 2)], text)

    def test_finds_nothing_else(self):
        for text in OTHERS:
            self.assertEqual(list(chains(text)), [], text)


if __name__ == "__main__":
    unittest.main()
