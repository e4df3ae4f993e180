r"""Words of English sentences, split as in the Penn Treebank.

The rules are those of the treebank's own script, applied in its order. Case is kept, and brackets
keep their form.
"""

from __future__ import annotations

import re

# Each rule: what is looked for, and what takes its place.
_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r'^"', "`` "),  # double quotes that open: at the start ...
        (r'([ (\[{<])"', r"\1 `` "),  # ... and after a space or a bracket
        (r"\.\.\.", " ... "),
        (r"([,;:@#$%&])", r" \1 "),
        (r"([^.])(\.)([\])}>\"']*)\s*$", r"\1 \2\3 "),  # the period that ends the sentence
        (r"([?!])", r" \1 "),
        (r"([\]\[(){}<>])", r" \1 "),
        (r"--", " -- "),
        (r"^|$", " "),  # so that the rules below find a space at both ends
        (r'"', " '' "),  # the double quotes that are left close
        (r"([^'])' ", r"\1 ' "),
        (r"'([sSmMdD]) ", r" '\1 "),
        (r"('ll|'re|'ve|n't|'LL|'RE|'VE|N'T) ", r" \1 "),
        (r" ([Cc])annot ", r" \1an not "),
        (r" ([Dd])'ye ", r" \1' ye "),
        (r" ([Gg])imme ", r" \1im me "),
        (r" ([Gg])onna ", r" \1on na "),
        (r" ([Gg])otta ", r" \1ot ta "),
        (r" ([Ll])emme ", r" \1em me "),
        (r" ([Mm])ore'n ", r" \1ore 'n "),
        (r" '([Tt])is ", r" '\1 is "),
        (r" '([Tt])was ", r" '\1 was "),
        (r" ([Ww])anna ", r" \1an na "),
    )
)


def tokenize(sentence: str) -> list[str]:
    r"""The words and punctuation marks of a sentence.

    Example:
        >>> tokenize('He said "I don\'t know" (twice).')
        ['He', 'said', '``', 'I', 'do', "n't", 'know', "''", '(', 'twice', ')', '.']
    """
    for pattern, replacement in _RULES:
        sentence = pattern.sub(replacement, sentence)
    return sentence.split()
