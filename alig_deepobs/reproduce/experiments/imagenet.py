"""Figure 5: ImageNet with a ResNet-18, without data augmentation."""

from __future__ import annotations

from alig_deepobs.reproduce.declare import FULL, Budget, Experiment, Kind, PaperMethod, Part

FIGURE_5 = Experiment(
    name="fig5",
    title="Figure 5: training objective and training accuracy on ImageNet",
    kind=Kind.CURVES,
    parts=(
        Part(
            label="ImageNet, ResNet-18",
            problem="imagenet_resnet18_alig",
            epochs=90,
            batch_size=1024,
            methods=(
                PaperMethod(
                    "SGD",
                    "momentum",
                    {
                        "lr": 0.1,
                        "momentum": 0.9,
                        "batch_size": 256,
                        "l2": 1e-4,
                        "lr_sched_epochs": (30, 60),
                        "lr_sched_factors": (0.1, 0.01),
                    },
                    note="schedule of He et al.; no setting was released",
                ),
                PaperMethod(
                    "ALI-G",
                    "alig",
                    {"max_lr": 10.0, "momentum": 0.0, "max_norm": 400.0, "batch_size": 1024},
                ),
            ),
        ),
    ),
    budgets={
        "full": FULL,
        "short": Budget("short", words=("1 epoch instead of 90",), epochs=1),
        "smoke": Budget(
            "smoke",
            words=("2 epochs instead of 90",),
            epochs=2,
            synthetic=True,
            setting={"batch_size": 8},
        ),
    },
    claims=(
        "ALI-G reaches 99 % top-5 accuracy on training data after 12 epochs, SGD later.",
        "Both end with the same training objective.",
    ),
    differences=("One device instead of four.",),
)
