"""The experiments of the paper, each as one command."""
