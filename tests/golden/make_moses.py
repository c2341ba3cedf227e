#!/usr/bin/env python3
"""What tests/tokenize/moses_test.cpp, tests/data/talk_pairs_test.cpp and src/lithe/tokenize/moses_characters.cpp have of
sacremoses (pip install sacremoses==0.1.1).

make_moses.py           lines with their tokens in German and, where they differ, in English
make_moses.py --pairs   lines of train.tags.de-en and the pairs that are made of them; checks what the test counts by itself
make_moses.py --tables  the classes of characters
"""
import re
import sys

from sacremoses import MosesTokenizer

# Bytes that are no UTF-8 go through Python as surrogates, one for each.
CODING = ("utf-8", "surrogateescape")
BOTH = ("de", "en")
TOKENIZERS = {language: MosesTokenizer(lang=language) for language in BOTH}
LINES = [
    "", "   ", "\t \v\f", "\x00", "\x01a\x02b \x03 c\x1f", "a\x1cb\x1dc\x1ed", "a\r", "x\x7fy",
    "a\u00a0b\u2003c\u3000d\u2028e\u0085f\u202fg", "zero\u200bwidth \ufeffmark soft\u00adhyphen",
    "Hello, world!", "It's 3,500.75 dollars, i.e. $3,500.75.", "1,000 2,a a,2 ,1 1, ,", ",,a,,,1,,2,,,", "3,",
    "wait... what.... no.....", "...start", "end...", "a..b...c.,..d", ". .. ... .", "'...' \"..\"", "5... 5.. 5.",
    "a.b.c. Next", "U.S. is, U.S.", "3.5.", "No. 5 No. five Nr. 7 Art. 3 Art. x pp. 12 pp. B", "p.m. Then", "v. V. x.",
    "semi-colon; dash - dash -- em\u2014dash en\u2013dash - a-b-c", "(round) [square] {curly} <angle>",
    "a|b & c &amp; d &lt;e&gt; \"f\" 'g' `h` ``i''", "#tag @user a@b.de 100% 5$ 5\u20ac \u00a35 \u00a7 3 \u00b0C ^_~*+=/\\",
    "https://www.example.com/a_b?c=d&e=f#g.", "www.ted.com, ftp://x.y.", "\u201eZitat\u201c \u201cquote\u201d \u2018q\u2019 \u00abg\u00bb",
    "\u4e2d\u6587\u5b57\u3002 \u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4 \u3042\u30a2", "\u0440\u0443\u0441. \u0434\u0430. \u0414\u0430.", "e\u0301 a\u0308 \u0915\u094d\u0937 \u25cca",
    "\u00bd 1\u00bd,2 \u2160,3 \u0663,\u0664 x\u00b2,y", "\U0001f600 ok\U0001f44d. \U0001d400 \U00010400", "don\u2019t", "\u00aa\u00ba \u00b5m \u02bc",
    "bad \udcff byte\udcc3. \udced\udca0\udc80,1", "\udce2\udc82a.", "c++, c# .net node.js", "a.'", "x .' ", ".'", "'", "''", "a''b 'a'",
    "Don't can't I'm you're we've she'll he'd", "the dogs' bones, Jones' 'tis 'Twas rock'n'roll", "the 1990's '90s 5'6\" 1'2 9'a",
    "Mr. Smith, Dr. Jones and Prof. X. said so.", "e.g. this, i.e. that, vs. those Rs. 5 Jan. 3", "He left. she stayed. He left.", "O'Neil's 'quoted' text.",
    "I live in Washington, D.C.", "a.m. and p.m.", "What?! No... Yes!", "end.)", "end.\" end.' end.'",
    "Das ist z.B. ein Test, d.h. eine Probe.", "Am 3. Mai 2012 um 15.30 Uhr, am 99. Tag, am 100. Tag.", "Dr. M\u00fcller u.s.w. usw. Und etc.",
    "1.000.000,50 \u20ac kosten 3,5 Mio. Euro bzw. Mrd. Dollar.", "Ich hab's, geht's? 'ne Stra\u00dfe, Karl' Haus", "u.\u00e4. \u00dcbel. \u00fcbel \u00dcber. \u00fcber",
    "\u201eJa\u201c, sagte er \u2013 \u201anein\u2018 \u2026 \u00bboder\u00ab.", "c.-\u00e0-d. Kap. XX. und xx. Ende", "St. Gallen Nr. sieben Nos. No. Ca. 5 ca. f\u00fcnf",
]

TAGGED = [
    ("<url>http://x.y/z</url>", "<url>http://x.y/z</url>"),
    ("<keywords>a, b</keywords>", "<keywords>a, b</keywords>"),
    ("<speaker>Anna M\u00fcller</speaker>", "<speaker>Anna M\u00fcller</speaker>"),
    ("<talkid>1</talkid>", "<talkid>1</talkid>"),
    ("<title>Anna M\u00fcller: Gr\u00f6\u00dfe & Ma\u00df</title>", "<title>Anna M\u00fcller: Size & Measure</title>"),
    ("<description>Das ist z.B. gut.</description>", "<description>This is e.g. good.</description>"),
    (" Wir haben's, \u201eja\u201c! ", "We've got it, \"yes\"!"),
    ("", "Alone"), ("Kurz.", " \u00a0 "), ("Eins zwei drei", "One two"), ("Vier W\u00f6rter in Zeilen", "Two words"),
    ("Zwei W\u00f6rter", "Four words in lines"), ("\u0130stanbul \u039f\u0394\u039f\u03a3 [eins|zwei]", "Istanbul ODOS [one|two]\r"),
]
# Those that the test makes: the lines, and what is kept of them.
MADE = [(" ".join(["w"] * 176), " ".join(["w"] * 176), None), (" ".join(["w"] * 175), " ".join(["w"] * 175), (" ".join(["w"] * 175),) * 2),
        ("x" * 1001, "x", None), ("\u00dc" * 1000, "U", ("\u00fc" * 1000, "u"))]
MADE += [(f"Zeile {number}", f"Line {number}", (f"zeile {number}", f"line {number}")) for number in range(20)]
SEGMENTS = [('  <seg id="1"> Es ist\u2019s, Dr. X </seg>', '<seg id="1"> It\u2019s Dr. X </seg>  '),
            ('<seg id="22">&amp; U.S.</seg>', '<seg id="22">&amp; U.S.</seg>'), ('<seg id="23"> </seg>', '<seg id="23">.</seg>')]


def tokens(tokenizer, line):
    return " ".join(tokenizer.tokenize(line))


def lowered(line):
    """Perl's lc: each character for itself, where Python's lower() has another sigma at the end of words."""
    return "".join(each.lower() for each in line)


def is_kept(first, second):
    """What clean-corpus-n.perl -ratio 1.5 ... 1 175 keeps."""
    counts = [len(line.split()) for line in (first, second)]
    longest = max([len(word) for line in (first, second) for word in line.split()], default=0)
    return 1 <= min(counts) and max(counts) <= 175 and max(counts) / min(counts) <= 1.5 and longest <= 1000


def without_markup(line):
    """What prepare-iwslt14.sh makes of a line of train.tags; None where it leaves it out."""
    if any(tag in line for tag in ("<url>", "<talkid>", "<keywords>")):
        return None
    for tag in ("<title>", "</title>", "<description>", "</description>"):
        line = line.replace(tag, "")
    return line


def pair_of(lines):
    """The pair that is made of a line of both sides, or None."""
    lines = [without_markup(line) for line in lines]
    if None in lines:
        return None
    pair = [tokens(TOKENIZERS[language], line) for language, line in zip(BOTH, lines)]
    return tuple(map(lowered, pair)) if is_kept(*pair) else None


def segment_of(language, line):
    text = re.sub(r'<seg id="[0-9]*">\s*', "", line)
    return lowered(tokens(TOKENIZERS[language], re.sub(r"\s*</seg>\s*", "", text).replace("\u2019", "'")))


def literal(text):
    """A C++ string literal of the bytes."""
    out, hexadecimal = "", False
    for byte in text.encode(*CODING):
        plain = 32 <= byte < 127
        if plain and hexadecimal and chr(byte) in "0123456789abcdefABCDEF":
            out += '""'
        hexadecimal = not plain
        out += f"\\x{byte:02X}" if not plain else "\\" + chr(byte) if chr(byte) in '"\\' else chr(byte)
    return f'"{out}"'


def strided(characters):
    """Runs (first, last, step) with a step of 1 or 2."""
    values, at = sorted(map(ord, characters)), 0
    while at < len(values):
        ends = []
        for step in (1, 2):
            end = at
            while end + 1 < len(values) and values[end + 1] == values[end] + step:
                end += 1
            ends.append(end)
        step = 2 if ends[0] == at and ends[1] > at + 1 else 1
        yield values[at], values[ends[step - 1]], step
        at = ends[step - 1] + 1


def tables():
    for name, characters in (("kAlphanumeric", MosesTokenizer.IsAlnum), ("kNumbers", MosesTokenizer.IsN.replace("\n", "")),
                             ("kLower", MosesTokenizer.IsLower)):
        runs = ", ".join(f"{{0x{first:X}, 0x{last:X}{', 2' if step == 2 else ''}}}" for first, last, step in strided(set(characters)))
        print(f"constexpr Run {name}[] = {{{runs}}};")


def rows(pairs):
    for pair in pairs:
        print("{" + ", ".join(map(literal, pair)) + "},")


def main():
    if sys.argv[1:] == ["--tables"]:
        tables()
    elif sys.argv[1:] == ["--pairs"]:
        rows(TAGGED)
        print()
        rows(filter(None, map(pair_of, TAGGED)))
        for german, english, kept in MADE:
            assert pair_of((german, english)) == kept, (german, english)
        print()
        rows(SEGMENTS)
        print()
        rows([segment_of(language, line) for language, line in zip(BOTH, lines)] for lines in SEGMENTS)
    else:
        for line in LINES:
            german, english = (tokens(TOKENIZERS[language], line) for language in BOTH)
            rows([(line, german) if german == english else (line, german, english)])


if __name__ == "__main__":
    main()
