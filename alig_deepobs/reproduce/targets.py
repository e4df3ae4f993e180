"""The targets of ``alig-deepobs reproduce``, with one line each; imports nothing."""

from __future__ import annotations

THEORY = ("fig1", "fig2", "theorems")
"""Targets that are computed in seconds, without a budget."""

TARGETS = {
    "fig1": "the Polyak step as a Newton-Raphson root step (seconds)",
    "fig2": "the function on which only a capped step converges (seconds)",
    "fig3": "heat map: a DNC under the hyper-parameter of each method",
    "fig4": "training objective on CIFAR-100",
    "fig5": "training objective and accuracy on ImageNet",
    "table1": "test accuracy on SVHN",
    "table2": "test accuracy on SNLI",
    "table3": "test accuracy on CIFAR-10 and CIFAR-100",
    "theorems": "the theorems on instances: bound beside observation (seconds)",
}
