"""Seeds derived by hashing named parts.

Every source of randomness of a run (initial weights, batch order of an epoch, dropout, ...) has
a name and a seed of its own. Adding a source, an epoch or a run never moves another's numbers.
"""

from __future__ import annotations

import hashlib


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2^63) that depends on all parts and on their order.

    Example:
        >>> derive_seed(42, "weights") == derive_seed(42, "weights")
        True
        >>> derive_seed(42, "weights") == derive_seed(42, "order", 0)
        False
    """
    # The repr keeps the number 1 and the text "1", and ("ab", "c") and ("a", "bc"), apart.
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
