"""DeepOBS's style of a run: ``python -m alig_deepobs.runners.alig mnist_mlp --max_lr 0.1``."""

from __future__ import annotations

from alig_deepobs.runners.__main__ import main

if __name__ == "__main__":
    main("alig")
