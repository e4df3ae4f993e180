"""Cockpit looks into a run: step sizes, gradient norms, how well a quadratic fits.

pip install cockpit-for-pytorch "setuptools<81"
"""

import json
from pathlib import Path

import torch
from backpack import extend
from cockpit import Cockpit
from cockpit.utils.configuration import configuration

import alig_deepobs

alig_deepobs.register("pytorch")

from deepobs.pytorch import config  # noqa: E402
from deepobs.pytorch.testproblems import digits_mlp  # noqa: E402

config.set_default_device("cpu")
torch.manual_seed(42)
problem = digits_mlp(32)
problem.set_up()
net = extend(problem.net)
mean_loss, each_loss = extend(problem.loss_function()), problem.loss_function(reduction="none")
optimizer = alig_deepobs.AliG(net.parameters(), max_lr=0.1)
cockpit = Cockpit(net.parameters(), quantities=configuration("economy"))
step = 0
for _ in range(2):
    for inputs, labels in problem.data._train_dataloader:
        optimizer.zero_grad()
        outputs = net(inputs)
        loss, losses = mean_loss(outputs, labels), each_loss(outputs, labels)
        info = {"batch_size": len(inputs), "individual_losses": losses, "loss": loss,
                "optimizer": optimizer}  # fmt: skip
        with cockpit(step, info=info):
            loss.backward(create_graph=cockpit.create_graph(step))
        optimizer.step(loss)
        step += 1
cockpit.write("results/cockpit")
tracked = json.loads(Path("results/cockpit.json").read_text())
assert any("GradNorm" in names for names in tracked.values()), tracked
