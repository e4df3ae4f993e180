"""The test problems on SNLI."""

from __future__ import annotations

from alig_deepobs.catalog.baselines import ALIG
from alig_deepobs.entries import HyperParameter, ProblemEntry

_OPTIONS = {
    "corpus": HyperParameter(str, "snli", "pairs of sentences", choices=("snli", "snli_mini")),
    "embeddings": HyperParameter(
        str, "glove.840B.300d",
        "word vectors: a file of GloVe or word2vec, an .npz file, or glove-6b-50d",
    ),
    "embedding_dim": HyperParameter(
        int, None, "numbers that a word vector must have; by default any", optional=True
    ),
    "hidden_dim": HyperParameter(int, 2048, "hidden units"),
    "fc_dim": HyperParameter(int, 512, "units of the dense layers"),
    "mask_padding": HyperParameter(
        bool, False, "leave the padding out of the maximum over time, unlike the paper's code"
    ),
}  # fmt: skip

SNLI_PROBLEMS = tuple(
    ProblemEntry(
        name=name,
        label=label,
        factory=f"alig_deepobs.testproblems.snli:{name}",
        data_set="snli",
        batch_size=64,
        num_epochs=20,
        interpolates=True,
        default_split="validation",
        reshuffles=True,
        options=_OPTIONS,
        optimizer_defaults={"alig": {"max_lr": 1.0, "momentum": 0.0}},
        tensorflow_factory=f"alig_deepobs.testproblems.tensorflow.snli_bilstm:{name}",
        citation=ALIG,
        description=f"Bi-LSTM on pairs of sentences, {loss}",
    )
    for name, label, loss in (
        ("snli_bilstm", "SNLI Bi-LSTM", "cross entropy"),
        ("snli_bilstm_svm", "SNLI Bi-LSTM (SVM)", "multi-class hinge loss"),
    )
)
