"""The treebank's rules, each on a sentence of its own."""

import pytest

from alig_deepobs.testproblems.datasets.treebank import tokenize


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("A dog runs.", "A dog runs ."),
        ("A dog runs", "A dog runs"),
        ("No. 5 runs. Fast.", "No. 5 runs. Fast ."),
        ("Three friends wait...", "Three friends wait ..."),
        ("Wait.. what?", "Wait.. what ?"),
        ('"Yes" he said, "maybe".', "`` Yes '' he said , `` maybe '' ."),
        ('The sign says ("open").', "The sign says ( `` open '' ) ."),
        ("He is happy.)", "He is happy . )"),
        ("Ann's dog; Bob's cat: $5 & 6% #1 @home!",
         "Ann 's dog ; Bob 's cat : $ 5 & 6 % # 1 @ home !"),
        ("He'd say they'll, we're, don't.", "He 'd say they 'll , we 're , do n't ."),
        ("I'm sure they'll go and we're glad you've come but don't stay",
         "I 'm sure they 'll go and we 're glad you 've come but do n't stay"),
        ("THEY'LL SAY WE'RE HERE, YOU'VE COME BUT DON'T STAY IT'S",
         "THEY 'LL SAY WE 'RE HERE , YOU 'VE COME BUT DO N'T STAY IT 'S"),
        ("the dogs' bowls", "the dogs ' bowls"),
        ("a man--a woman", "a man -- a woman"),
        ("[a] {b} <c>", "[ a ] { b } < c >"),
        ("Cannot I? I cannot", "Can not I ? I can not"),
        ("D'ye see", "D' ye see"),
        ("gimme what I'm gonna and gotta have", "gim me what I 'm gon na and got ta have"),
        ("lemme go, more'n you wanna", "lem me go , more 'n you wan na"),
        ("'Tis late and 'twas cold", "'T is late and 't was cold"),
        ("  many   spaces\there ", "many spaces here"),
        ("", ""),
        ("n/a", "n/a"),
        ("Café señor", "Café señor"),
    ],
)  # fmt: skip
def test_rules(sentence, words):
    assert tokenize(sentence) == words.split()
