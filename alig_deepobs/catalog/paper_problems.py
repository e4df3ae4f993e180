"""The test problems of the ALI-G paper."""

from __future__ import annotations

from alig_deepobs.catalog.baselines import ALIG
from alig_deepobs.entries import HyperParameter, ProblemEntry

_DNC_COPY = ProblemEntry(
    name="dnc_copy",
    label="DNC repeat copy",
    factory="alig_deepobs.testproblems.dnc:dnc_copy",
    tensorflow_factory="alig_deepobs.testproblems.tensorflow.dnc_copy:dnc_copy",
    data_set="repeat_copy",
    batch_size=16,
    num_epochs=100,
    metric="loss",
    interpolates=True,
    has_validation=False,
    reshuffles=True,
    options={
        "hidden_dim": HyperParameter(int, 64, "units of the recurrent network"),
        "memory_slots": HyperParameter(int, 16, "rows of the memory"),
        "word_size": HyperParameter(int, 16, "numbers in a row of the memory"),
        "read_heads": HyperParameter(int, 4, "heads that read from the memory"),
        "write_heads": HyperParameter(int, 1, "heads that write to the memory"),
    },
    optimizer_defaults={"alig": {"momentum": 0.0, "eps": 0.0}},
    citation=ALIG,
    description="differentiable neural computer that copies patterns; needs no download",
)

LOSSES = HyperParameter(
    str, "cross_entropy", "the loss to train with",
    choices=("cross_entropy", "hinge", "smooth_hinge"),
)  # fmt: skip
TOP5_LOSSES = HyperParameter(
    str, "truncated_top5", "the loss to train with",
    choices=("truncated_top5", "exact_top5", "cross_entropy"),
)  # fmt: skip


def _vision(
    name: str, label: str, data_set: str, batch_size: int, num_epochs: int, weight_decay: float,
    interpolates: bool | None, description: str, alig: dict[str, float],
    options: dict[str, HyperParameter],
) -> ProblemEntry:  # fmt: skip
    return ProblemEntry(
        name, label, f"alig_deepobs.testproblems.paper_vision:{name}", data_set, batch_size,
        num_epochs, weight_decay, interpolates=interpolates, default_split="validation",
        reshuffles=True, options=options, optimizer_defaults={"alig": alig}, citation=ALIG,
        description=description,
    )  # fmt: skip


# Batch sizes, epochs and defaults of ALI-G are those of the paper's runs with it, L2 factors those
# of its runs with SGD (for ImageNet, where it gives none, the usual one). The radius on CIFAR-10
# with the DenseNet is 80 in the paper, and 75 in the authors' code.
_VISION_PROBLEMS = (
    _vision("svhn_wrn164_alig", "SVHN WRN-16-4 (paper)", "svhn_extra", 128, 160, 5e-4, None,
           "wide residual network with dropout on SVHN with its extra images",
           {"max_lr": 0.01, "momentum": 0.9, "max_norm": 50.0}, {"loss": LOSSES}),
    _vision("cifar10_wrn404_alig", "CIFAR-10 WRN-40-4 (paper)", "cifar10", 256, 200, 5e-4, True,
           "wide residual network on CIFAR-10",
           {"max_lr": 1.0, "momentum": 0.9, "max_norm": 100.0}, {"loss": LOSSES}),
    _vision("cifar100_wrn404_alig", "CIFAR-100 WRN-40-4 (paper)", "cifar100", 128, 200, 5e-4, True,
           "wide residual network on CIFAR-100",
           {"max_lr": 0.1, "momentum": 0.9, "max_norm": 100.0}, {"loss": LOSSES}),
    _vision("cifar10_densenet4040_alig", "CIFAR-10 DenseNet-40-40 (paper)", "cifar10", 64, 300,
           1e-4, True, "densely connected network on CIFAR-10",
           {"max_lr": 0.1, "momentum": 0.9, "max_norm": 80.0}, {"loss": LOSSES}),
    _vision("cifar100_densenet4040_alig", "CIFAR-100 DenseNet-40-40 (paper)", "cifar100", 256, 300,
           1e-4, True, "densely connected network on CIFAR-100",
           {"max_lr": 0.1, "momentum": 0.9, "max_norm": 75.0}, {"loss": LOSSES}),
    _vision("imagenet_resnet18_alig", "ImageNet ResNet-18 (paper, top-5)", "imagenet", 1024, 90,
           1e-4, True, "ResNet-18 on ImageNet with a top-5 loss; accuracy is the top-5 accuracy",
           {"max_lr": 10.0, "momentum": 0.0, "max_norm": 400.0},
           {
               "loss": TOP5_LOSSES,
               "accuracy_k": HyperParameter(int, 5, "right is a class among the K best guesses"),
           }),
)  # fmt: skip

_SNLI_OPTIONS = {
    "corpus": HyperParameter(str, "snli", "pairs of sentences", choices=("snli", "snli_mini")),
    "embeddings": HyperParameter(
        str, "glove.840B.300d",
        "word vectors: a file of GloVe or word2vec, an .npz file, or glove-6b-50d",
    ),
    "embedding_dim": HyperParameter(
        int, None, "numbers that a word vector must have; by default any", optional=True
    ),
    "hidden_dim": HyperParameter(int, 2048, "units of each direction of the LSTM"),
    "fc_dim": HyperParameter(int, 512, "units of the dense layers"),
    "mask_padding": HyperParameter(
        bool, False, "leave the padding out of the maximum over time, unlike the paper's code"
    ),
}  # fmt: skip

_SNLI_PROBLEMS = tuple(
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
        options=_SNLI_OPTIONS,
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

PAPER_PROBLEMS: tuple[ProblemEntry, ...] = (_DNC_COPY, *_VISION_PROBLEMS, *_SNLI_PROBLEMS)
