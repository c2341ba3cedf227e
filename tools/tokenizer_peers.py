#!/usr/bin/env python3
"""Compares lithe's tokenizers, id by id, with `tokenizers`, `tiktoken` and `sentencepiece` from PyPI.

    pip install tokenizers tiktoken sentencepiece==0.1.97 'protobuf<3.21'
    tools/tokenizer_peers.py build/release/lithe [--strings 10000] [--seed 1] [--golden tests/tokenize/golden]

Every tokenizer is trained here on text of this repository and on the sentences below, then both sides encode the same
texts: languages, emoji, control characters, and random strings. --golden writes a small sample that the tests read.
Random characters are those of Unicode 3.2: each library has tables of its own age, some of 2015. SentencePiece breaks ties between equally probable segmentations by its version; the one that Debian 12 ships is 0.1.97.
"""
import argparse
import io
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

import sentencepiece
import tiktoken
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parent.parent
SENTENCES = [
    "The quick brown fox doesn't jump over the lazy dog; it's 3.14159 o'clock, they've said \"we'll see\".",
    "Die Straßenbahn fährt um zwölf Uhr über die Brücke — Größe, Maß, Übermut und Äpfel für 12,50 €.",
    "敏捷的棕色狐狸跳过了懒狗。今天天气很好,我们去公园散步吧!共有123个苹果。",
    "الثعلب البني السريع يقفز فوق الكلب الكسول. السعر ١٢٣ ريالًا، أليس كذلك؟",
    "Быстрая лиса прыгает через ленивую собаку; ёлка, щука, объём.",
    "素早い茶色の狐がのろまな犬を飛び越える。カタカナとｶﾀｶﾅ、①②③。",
    "빠른 갈색 여우가 게으른 개를 뛰어넘습니다. 한국어",
    "नमस्ते दुनिया, यह एक परीक्षण है। क्षत्रिय",
    "👩‍👩‍👧‍👦 family 🏳️‍🌈 flags 🇩🇪🇫🇷 👍🏽 ❤️ ☺ emoji 🎉🎉🎉",
    "e\u0301 \u00e9 \ufb01 \u2126 \u212b \u1e9b\u0323 \u00a0nbsp\u2003em\u3000ideographic\u200bzero",
    "tabs\tand\r\nline ends\n\n\n   spaces    \x0b\x0c\x1c\x85\u2028\u2029 end ",
    "<|endoftext|> <s> </s> <unk> [CLS] [SEP] [MASK] <0x0A> \u2581under ##piece",
    "\x00\x01\x02\x7f\x80\x9f control \ufffd replacement \ufeffbom",
    "CamelCase snake_case kebab-case 1234567890 1,000,000 0x1F a1b2c3 !!!???... ((([[[{{{",
    "İstanbul ıslak ẞ ŉ ǰ ΐ Σίσυφος ΣΑΣ ﬃ Ǆ",
    "", " ", "  ", "\n", " \n", "\n ", "a", "'", "'s", "''s 'S 'T 'RE", "don't", " 's", "a  b", "a   b", "   a",
]


def corpus():
    text = [(ROOT / name).read_text() for name in ("README.md", "ARCHITECTURE.md", "LICENSE")]
    return "\n".join(text).split("\n") + [s for s in SENTENCES if s] * 3


def random_string(rng):
    kind = rng.random()
    pools = ["abcdefghij ", "abc '\n", " \t\n\r", "0123456789.,", "äöüßéñ ", "日本語中文 ", "अआइकखग", "ابتثج ", "👍🏽🎉❤️‍", "!?()[]{}<>|_-#@",
             "\u0300\u0301e", "\u200b\u200d\ufe0f", "'stmdrevl ", "\u2581 a", "İıſK"]
    if kind < 0.15:
        drawn = "".join(chr(rng.choice([rng.randrange(0x20, 0x7F), rng.randrange(0x80, 0x800), rng.randrange(0x800, 0xD800),
                                        rng.randrange(0xE000, 0x10000), rng.randrange(0x10000, 0x20000)])) for _ in range(rng.randrange(1, 16)))
        return "".join(c for c in drawn if unicodedata.ucd_3_2_0.category(c) != "Cn")
    if kind < 0.3:
        words = rng.choice(SENTENCES[:15]).split(" ")
        return " ".join(rng.choice(words) for _ in range(rng.randrange(1, 12)))
    if kind < 0.4:
        sentence = rng.choice(SENTENCES[:15])
        at = rng.randrange(len(sentence))
        return sentence[at:at + rng.randrange(1, 40)]
    if kind < 0.42:
        return rng.choice("ab é") * rng.randrange(50, 400)
    chosen = [rng.choice(pools) for _ in range(rng.randrange(1, 4))]
    return "".join(rng.choice(rng.choice(chosen)) for _ in range(rng.randrange(1, 30)))


def unigram_charsmap(folder):
    """The character map of SentencePiece's nmt_nfkc rule, taken out of a model trained with it."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter([s for s in corpus() if s.strip()]), model_writer=model, vocab_size=600,
                                             hard_vocab_limit=False, normalization_rule_name="nmt_nfkc", minloglevel=2)
    from sentencepiece import sentencepiece_model_pb2
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


def hugging_face(folder):
    """Named tokenizers of the `tokenizers` library, each of another make."""
    made = {}

    def make(name, model, trainer, normalizer=None, pre=None, decoder=None):
        t = tokenizers.Tokenizer(model)
        if normalizer is not None:
            t.normalizer = normalizer
        if pre is not None:
            t.pre_tokenizer = pre
        if decoder is not None:
            t.decoder = decoder
        t.train_from_iterator(corpus(), trainer)
        made[name] = t
        return t

    byte_alphabet = pre_tokenizers.ByteLevel.alphabet()
    make("gpt2", models.BPE(), trainers.BpeTrainer(vocab_size=900, show_progress=False, initial_alphabet=byte_alphabet, special_tokens=["<|endoftext|>"]),
         pre=pre_tokenizers.ByteLevel(add_prefix_space=False), decoder=decoders.ByteLevel())
    make("roberta", models.BPE(), trainers.BpeTrainer(vocab_size=900, show_progress=False, initial_alphabet=byte_alphabet, special_tokens=["<s>", "</s>", "<mask>"]),
         pre=pre_tokenizers.ByteLevel(add_prefix_space=True), decoder=decoders.ByteLevel())
    cl100k = tokenizers.Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    t = make("llama3", models.BPE(ignore_merges=True), trainers.BpeTrainer(vocab_size=900, show_progress=False, initial_alphabet=byte_alphabet),
             pre=pre_tokenizers.Sequence([pre_tokenizers.Split(cl100k, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
             decoder=decoders.ByteLevel())
    make("qwen", models.BPE(), trainers.BpeTrainer(vocab_size=900, show_progress=False, initial_alphabet=byte_alphabet), normalizer=normalizers.NFC(),
         pre=pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Split(cl100k, "removed", invert=True),
                                      pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), decoder=decoders.ByteLevel())
    bytes_tokens = [f"<0x{b:02X}>" for b in range(256)]
    make("llama2", models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"),
         trainers.BpeTrainer(vocab_size=1000, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"] + bytes_tokens),
         normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
         decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]))
    make("clip", models.BPE(end_of_word_suffix="</w>", unk_token="<unk>"),
         trainers.BpeTrainer(vocab_size=700, show_progress=False, end_of_word_suffix="</w>", special_tokens=["<unk>"]),
         normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]), pre=pre_tokenizers.Whitespace(), decoder=decoders.BPEDecoder())
    make("bpe-prefix", models.BPE(continuing_subword_prefix="##", unk_token="[UNK]", fuse_unk=True),
         trainers.BpeTrainer(vocab_size=700, show_progress=False, continuing_subword_prefix="##", special_tokens=["[UNK]"]),
         pre=pre_tokenizers.BertPreTokenizer(), decoder=decoders.WordPiece())
    make("bert", models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=800, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]),
         normalizer=normalizers.BertNormalizer(lowercase=True), pre=pre_tokenizers.BertPreTokenizer(), decoder=decoders.WordPiece())
    make("bert-cased", models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20), trainers.WordPieceTrainer(vocab_size=800, show_progress=False, special_tokens=["[UNK]"]),
         normalizer=normalizers.BertNormalizer(lowercase=False, strip_accents=False), pre=pre_tokenizers.BertPreTokenizer(), decoder=decoders.WordPiece(cleanup=False))
    make("words", models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=600, show_progress=False, special_tokens=["<unk>"]),
         normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.StripAccents(), normalizers.Strip()]), pre=pre_tokenizers.WhitespaceSplit())
    make("words-split", models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=600, show_progress=False, special_tokens=["<unk>"]),
         normalizer=normalizers.NFKD(), pre=pre_tokenizers.Sequence([pre_tokenizers.CharDelimiterSplit(" "), pre_tokenizers.Punctuation("merged_with_previous"),
                                                                     pre_tokenizers.Digits(), pre_tokenizers.Split("e", "merged_with_next")]))
    make("contiguous", models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=600, show_progress=False, special_tokens=["<unk>"]),
         normalizer=normalizers.NFD(), pre=pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Split(tokenizers.Regex(r"\s+"), "removed")]))
    charsmap = unigram_charsmap(folder)
    make("t5", models.Unigram(), trainers.UnigramTrainer(vocab_size=600, show_progress=False, unk_token="<unk>", special_tokens=["<pad>", "</s>", "<unk>"]),
         normalizer=normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(tokenizers.Regex(" {2,}"), " ")]),
         pre=pre_tokenizers.Metaspace(prepend_scheme="always"), decoder=decoders.Metaspace(prepend_scheme="always"))
    make("xlnet", models.Unigram(), trainers.UnigramTrainer(vocab_size=600, show_progress=False, unk_token="<unk>", special_tokens=["<unk>"]),
         normalizer=normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Lowercase()]),
         pre=pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")]), decoder=decoders.Metaspace(prepend_scheme="first"))
    t = tokenizers.Tokenizer.from_str(made["t5"].to_str())
    spec = json.loads(t.to_str())
    spec["normalizer"] = None
    spec["model"]["byte_fallback"] = True
    lowest = min(score for _, score in spec["model"]["vocab"])
    spec["model"]["vocab"] += [[token, lowest - 1] for token in bytes_tokens]
    spec["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": False}
    spec["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": False}]}
    made["unigram-bytes"] = tokenizers.Tokenizer.from_str(json.dumps(spec))
    t = tokenizers.Tokenizer.from_str(made["gpt2"].to_str())
    t.add_tokens([tokenizers.AddedToken("quick", single_word=True), tokenizers.AddedToken("Ω!", lstrip=True), tokenizers.AddedToken("fox", rstrip=True),
                  tokenizers.AddedToken("ab"), tokenizers.AddedToken("abc")])
    made["added"] = t
    t = tokenizers.Tokenizer.from_str(made["bert"].to_str())
    t.add_tokens([tokenizers.AddedToken("QUICK", normalized=True), tokenizers.AddedToken("Äpfel", normalized=True), tokenizers.AddedToken("Übermut", normalized=False)])
    made["added-normalized"] = t
    return made


def lithe(program, arguments, lines):
    """The lines that it prints of these."""
    out = subprocess.run([program, *arguments], input=lines.encode(), capture_output=True)
    if out.returncode:
        raise SystemExit(f"lithe {' '.join(arguments)} ended with {out.returncode}: {out.stderr.decode(errors='replace')}")
    return out.stdout.decode().split("\n")[:-1]


def lithe_encode(program, path, texts):
    lines = "\n".join(t.hex() for t in texts) + "\n"
    return [[int(x) for x in line.split()] for line in lithe(program, ["data", "encode", path, "--hex"], lines)]


def lithe_decode(program, path, ids):
    lines = "\n".join(" ".join(map(str, each)) for each in ids) + "\n"
    return [bytes.fromhex(line) for line in lithe(program, ["data", "decode", path, "--hex"], lines)]


def compare(name, texts, ours, theirs):
    wrong = [i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b]
    print(f"{name:24} {len(texts) - len(wrong)} of {len(texts)} equal")
    for i in wrong[:3]:
        print("   text", ascii(texts[i]), "\n   ours", ours[i][:40], "\n   peer", theirs[i][:40])
    return len(wrong)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--strings", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--golden")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    texts = SENTENCES + [random_string(rng) for _ in range(args.strings)]
    special_free = [t for t in texts]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        golden = []
        for name, t in hugging_face(folder).items():
            if args.only and args.only != name:
                continue
            t.encode_special_tokens = True  # text never becomes special tokens, as in lithe
            path = f"{folder}/{name}.json"
            t.save(path)
            # words of the vocabulary that are special: the peer's models make them of text, lithe never does
            specials = [a.content for a in t.get_added_tokens_decoder().values() if a.special]
            usable = [s for s in special_free if name in ("gpt2", "roberta", "added") or not any(x in s for x in specials)]
            theirs = [t.encode(s, add_special_tokens=False).ids for s in usable]
            ours = lithe_encode(args.program, path, [s.encode() for s in usable])
            wrong += compare(name, usable, ours, theirs)
            back = [b.decode(errors="replace") for b in lithe_decode(args.program, path, theirs)]
            wrong += compare(name + " decoded", usable, back, [t.decode(ids, skip_special_tokens=False) for ids in theirs])
            golden.append((name, t, usable, theirs))
        if not args.only or args.only == "tiktoken":
            wrong += check_tiktoken(args.program, folder, special_free)
        if not args.only or args.only == "sentencepiece":
            wrong += check_sentencepiece(args.program, folder, special_free, rng)
        if args.golden:
            write_golden(pathlib.Path(args.golden), golden)
    print("all equal" if not wrong else f"{wrong} differ")
    sys.exit(bool(wrong))


def train_lithe(program, folder, kind, name, *more):
    text = f"{folder}/train.txt"
    pathlib.Path(text).write_text("\n".join(corpus()))
    subprocess.run([program, "-q", "data", "train-tokenizer", text, "--split", "100/0/0", "--kind", kind, "--out", f"{folder}/{name}", *more],
                   check=True, stdout=subprocess.DEVNULL)
    return f"{folder}/{name}"


def check_tiktoken(program, folder, texts):
    """GPT-2's rules in tiktoken, over merges that lithe learned; and those merges against the trainer of `tokenizers`."""
    path = train_lithe(program, folder, "bpe", "bpe.json", "--size", "900")
    spec = json.loads(pathlib.Path(path).read_text())
    alphabet = {}
    extra = 256
    for b in range(256):
        plain = 33 <= b <= 126 or 161 <= b <= 172 or b >= 174
        alphabet[chr(b if plain else extra)] = b
        extra += not plain
    ranks = {bytes(alphabet[c] for c in token): i for token, i in spec["model"]["vocab"].items() if token != "<|endoftext|>"}
    peer = tiktoken.Encoding("gpt2-like", pat_str=r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
                             mergeable_ranks=ranks, special_tokens={"<|endoftext|>": len(ranks)})
    wrong = compare("tiktoken gpt2", texts, lithe_encode(program, path, [t.encode() for t in texts]), [peer.encode_ordinary(t) for t in texts])
    t = tokenizers.Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(["\n".join(corpus())], trainers.BpeTrainer(vocab_size=899, min_frequency=2, show_progress=False,
                                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    theirs = [" ".join(m) if isinstance(m, list) else m for m in json.loads(t.to_str())["model"]["merges"]]
    ours = [" ".join(m) if isinstance(m, list) else m for m in spec["model"]["merges"]]
    print(f"{'trained merges':24} {'equal' if ours == theirs else 'DIFFER'} ({len(ours)})")
    bad = [bytes(random.Random(i).randrange(256) for _ in range(i % 40)) for i in range(2000)]
    back = lithe_decode(program, path, lithe_encode(program, path, bad))
    kept = sum(a == b for a, b in zip(bad, back))
    print(f"{'random bytes come back':24} {kept} of {len(bad)}")
    return wrong + (ours != theirs) + len(bad) - kept


def check_sentencepiece(program, folder, texts, rng):
    wrong = 0
    data = [t.encode() for t in texts] + [bytes(rng.randrange(256) for _ in range(rng.randrange(1, 30))) for _ in range(1000)]
    data = [d for d in data if b"\0" not in d]
    for kind in ("unigram", "bpe"):
        for rule in ("nmt_nfkc", "identity"):
            prefix = f"{folder}/sp-{kind}-{rule}"
            sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter([s for s in corpus() if s.strip()]), model_prefix=prefix, model_type=kind,
                                                     vocab_size=700, hard_vocab_limit=False, normalization_rule_name=rule, byte_fallback=rule == "identity", minloglevel=2)
            peer = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
            wrong += compare(f"sentencepiece {kind} {rule}", data, lithe_encode(program, prefix + ".model", data), [peer.encode(d) for d in data])
    return wrong


def write_golden(folder, golden):
    folder.mkdir(parents=True, exist_ok=True)
    for name, t, texts, ids in golden:
        if name == "t5":
            continue  # its character map alone is 300 kB
        shown = list(range(min(len(SENTENCES), len(texts)))) + list(range(len(SENTENCES), min(len(texts), len(SENTENCES) + 20)))
        cases = [{"text": texts[i], "ids": ids[i], "back": t.decode(ids[i], skip_special_tokens=False)} for i in shown]
        (folder / f"{name}.json").write_text(json.dumps({"peer": f"tokenizers {tokenizers.__version__}", "cases": cases, "tokenizer": json.loads(t.to_str())}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
