"""The PyTorch optimizers, one per file."""
