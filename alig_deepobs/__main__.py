"""``python -m alig_deepobs``: the same as the command ``alig-deepobs``."""

from alig_deepobs.cli.main import main

if __name__ == "__main__":
    main()
