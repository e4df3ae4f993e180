"""How fast things are, as ratios: ``python -m benchmarks``."""
