#!/usr/bin/env python3
"""The length rule of check_sizes.py finds functions in all the forms in which they are written."""
import unittest

from check_sizes import MAX_FUNCTION, functions, problems_of

BODY = "    work();\n" * (MAX_FUNCTION + 5)
SHORT = "    work();\n"
FORMS = {  # name: opening and closing lines of a function of this name
    "plain": ("int plain(int a) {\n", "}\n"),
    "Class::method": ("int Class::method(int a) const noexcept {\n", "}\n"),
    "inside": ("class Class : public Base<int> {\n public:\n    int inside() const override {\n", "    }\n};\n"),
    "split": ("std::vector<int> split(const std::string& first,\n                       int second) {\n", "}\n"),
    "templated": ("template <typename T, typename = std::enable_if_t<(sizeof(T) > 1)>>\nT templated(T a) {\n", "}\n"),
    "trailing": ("auto trailing(int a) -> std::vector<int> {\n", "}\n"),
    "Class::Class": ("Class::Class(int a)\n    : Base(a),\n      first_{a},\n      second_(a) {\n", "}\n"),
    "Braced::Braced": ("Braced::Braced(int a) : first_(a), second_{a} {\n", "}\n"),
    "Class::~Class": ("Class::~Class() {\n", "}\n"),
    "operator==": ("bool operator==(const A& a, const B& b) {\n", "}\n"),
    "operator<<": ("std::ostream& operator<<(std::ostream& out, const A& a) {\n", "}\n"),
    "Class::operator()": ("int Class::operator()(int a) const {\n", "}\n"),
    "constrained": ("template <class T>\nvoid constrained(T a) requires std::integral<T> {\n", "}\n"),
    "below": ("int below(int a)\n{\n", "}\n"),
    "kernel": ("template <class T> __global__ void __launch_bounds__(256) kernel(T* a) {\n", "}\n"),
    "nested": ("struct A {\n    struct B {\n        int nested() noexcept(noexcept(f())) {\n", "        }\n    };\n};\n"),
    "exported": ('extern "C" {\nint exported(int a) {\n', "}\n}\n"),
    "bound": ("const auto bound = [](int a) {\n", "};\n"),
    "nothing": ("const auto nothing = [] {\n", "};\n"),
    "lambda": ('const Row kRows[] = {{"name", 3, [](int a) {\n', "}},\n};\n"),
    "Suite.Name": ("TEST(Suite, Name) {\n", "}\n"),
    "Fixture.Name": ("TEST_P(Fixture, Name) {\n", "}\n"),
    "caught": ("int caught(int a) try {\n", "} catch (...) {\n}\n"),
    "defaults": ("int defaults(const A& a = {}, std::function<int(int)> b = {}) {\n", "}\n"),
}


def lengths(text):
    return {name: last - first for name, first, last in functions(text)}


class Forms(unittest.TestCase):
    def test_each_form_is_found_when_it_is_too_long(self):
        for name, (opening, closing) in FORMS.items():
            for around in ("{}", "namespace lithe {{\nnamespace {{\n{}}}\n}}\n"):
                with self.subTest(name=name):
                    told = [line for _, line in problems_of("a.cpp", around.format(opening + BODY + closing))]
                    self.assertEqual(len(told), 1, told)
                    self.assertIn(f"{name} has", told[0])
                    self.assertEqual(list(problems_of("a.cpp", around.format(opening + SHORT + closing))), [])

    def test_the_signature_counts(self):
        opening, closing = FORMS["Class::Class"]
        self.assertEqual(lengths(opening + SHORT + closing), {"Class::Class": 5})

    def test_functions_follow_each_other(self):
        text = "".join(opening + SHORT + closing for opening, closing in FORMS.values())
        self.assertEqual(set(lengths(text)), set(FORMS) | {"catch"})

    def test_braces_in_literals_and_comments_are_none(self):
        text = "int f() {\n" + r'''    a("}{", '}', '"', R"x(})" { )x", 1'000); // }
    /* } */
#define OPEN {
''' + "}\nint g() {\n}\n"
        self.assertEqual(lengths(text), {"f": 4, "g": 1})

    def test_of_two_branches_the_first_counts(self):
        text = "#if A\nint f(int a) {\n#if B\n    b {\n#else\n    c {\n#endif\n    }\n#elif C\nint f() {\n#else\nint f(long a) {\n#endif\n    d();\n}\nint g() {\n}\n"
        self.assertEqual(functions(text), [("f", 2, 15), ("g", 16, 17)])

    def test_a_brace_that_is_never_closed_is_told(self):
        self.assertEqual([line for _, line in problems_of("a.cpp", "int f() {\n    if (a) {\n}\n")],
                         ["a.cpp: a brace is never closed, the last one of line 1"])

    def test_values_and_types_are_no_functions(self):
        text = "struct A {\n    int a[2]{1, 2};\n    int b = {3};\n};\nenum class E : int { a, b };\nconst A kA{\n    {1, 2},\n};\n"
        self.assertEqual(lengths(text), {})


if __name__ == "__main__":
    unittest.main()
