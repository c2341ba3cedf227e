#!/usr/bin/env python3
"""The numbers of tests/score/translation_scores_test.cpp, asked of sacreBLEU (pip install sacrebleu==2.6.0)."""
from sacrebleu.metrics import BLEU, CHRF

PAIRS = (["the cat sat on the mat .", "A man, in a blue shirt; walks 3.5 km!", "hello world", "das ist gut"],
         ["the cat is on the mat .", "A man in a blue shirt walks 3.5 km.", "hello there world", "das ist sehr gut"])
ODD = [(["a b c"], ["x y z"]), ([""], ["a b"]), (["a"], [""]),
       (["a b c d e f", "été\u00a0à la plage."], ["a b c d e g", "été à la plage ."]),
       (["the the the the", "x"], ["the cat", "y"]), (["ab"], ["ab"]), ([" a  b "], ["a b"]),
       (["1,000.5-2 a-b U.S. &quot;x&quot; <skipped>q"], ["1,000.5 - 2 a-b U.S. \"x\" q"])]

for hypotheses, references in [PAIRS] + ODD:
    print(hypotheses)
    for tokens in ("13a", "none"):
        bleu = BLEU(tokenize=tokens)
        score = bleu.corpus_score(hypotheses, [references])
        print(f"  {score.score:.17g}", score.precisions, score.bp, score.sys_len, score.ref_len, bleu.get_signature())
    chrf = CHRF()
    print(f"  {chrf.corpus_score(hypotheses, [references]).score:.17g}", chrf.get_signature())
