"""Copies the weights of DeepOBS's TensorFlow networks into the PyTorch networks.

The layouts differ: TensorFlow's convolutions are (height, width, in, out), its dense layers
(in, out), and it flattens images as (height, width, channel), PyTorch as (channel, height, width).
"""

import torch
from torch import nn

DATA_OF_VGG = ("cifar10", "cifar100", "imagenet")
# Shapes (channel, height, width) that are flattened before a dense layer, by problem and by number
# of the dense layer.
FLATTENED = {
    "mnist_2c2d": {0: (64, 7, 7)},
    "fmnist_2c2d": {0: (64, 7, 7)},
    "mnist_vae": {0: (64, 7, 7), 1: (64, 7, 7), 4: (64, 14, 14)},
    "fmnist_vae": {0: (64, 7, 7), 1: (64, 7, 7), 4: (64, 14, 14)},
    "cifar10_3c3d": {0: (128, 3, 3)},
    "cifar100_3c3d": {0: (128, 3, 3)},
    "svhn_3c3d": {0: (128, 3, 3)},
    **{f"{data}_vgg{n}": {0: (512, 7, 7)} for data in DATA_OF_VGG for n in (16, 19)},
}
LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)


@torch.no_grad()
def copy_layers(problem, net, values, run):
    """Fills the layers of a net.

    Args:
        problem: its name.
        net: the PyTorch net.
        values: TensorFlow's variables, name -> array, in the order of their creation.
        run: runs the net once, which tells the order of its layers.
    """
    ours = _layers_in_order(net, run)
    dense = 0
    for theirs in _grouped(values):
        if "kernel" in theirs and theirs["kernel"].ndim == 2:
            shape = FLATTENED.get(problem, {}).get(dense)
            dense += 1
            theirs["kernel"] = _dense(theirs["kernel"], shape)
        elif "kernel" in theirs:
            theirs["kernel"] = theirs["kernel"].transpose(3, 2, 0, 1)
        # The first that fits: a shortcut may be computed before or after what it bridges.
        layer = next(layer for layer in ours if _fits(layer, theirs))
        ours.remove(layer)
        for ours_name, name in _names(layer).items():
            if name in theirs:
                getattr(layer, ours_name).copy_(torch.tensor(theirs[name]))
    assert not ours, f"TensorFlow has no weights for {ours}"


@torch.no_grad()
def copy_variables(net, values):
    """Fills the parameters of a closed form, which are in the order of TensorFlow's variables."""
    for parameter, value in zip(net.parameters(), values.values(), strict=True):
        parameter.copy_(torch.tensor(value).reshape(parameter.shape))


@torch.no_grad()
def copy_char_rnn(net, values):
    """Fills the network of tolstoi_char_rnn."""
    net.embedding.copy_(torch.tensor(values["embedding"]))
    for number, layer in enumerate(net.layers):
        cell = f"rnn/multi_rnn_cell/cell_{number}/lstm_cell"
        both = torch.tensor(values[f"{cell}/kernel"])
        inputs, recurrent = both.split(len(both) // 2)
        layer.input_kernel.copy_(_gates(inputs.T))
        layer.recurrent_kernel.copy_(_gates(recurrent.T))
        layer.bias.copy_(_gates(torch.tensor(values[f"{cell}/bias"])))
    net.dense.weight.copy_(torch.tensor(values["rnnlm/softmax_w"]).T)
    net.dense.bias.copy_(torch.tensor(values["rnnlm/softmax_b"]))


def _gates(rows):
    # TensorFlow: input, cell, forget, output; PyTorch: input, forget, cell, output.
    i, j, f, o = rows.chunk(4)
    return torch.cat((i, f, j, o))


def _names(layer):
    if isinstance(layer, nn.BatchNorm2d):
        return {
            "weight": "gamma",
            "bias": "beta",
            "running_mean": "moving_mean",
            "running_var": "moving_variance",
        }
    return {"weight": "kernel", "bias": "bias"}


def _fits(layer, theirs):
    for ours_name, name in _names(layer).items():
        value = getattr(layer, ours_name)
        shape = None if value is None else tuple(value.shape)
        if shape != (theirs[name].shape if name in theirs else None):
            return False
    return True


def _grouped(values):
    """The variables of each layer, in the order of their creation."""
    groups = {}
    for name, value in values.items():
        layer, _, kind = name.rpartition("/")
        groups.setdefault(layer, {})[kind] = value
    known = {"kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"}
    return [group for group in groups.values() if set(group) <= known]


def _layers_in_order(net, run):
    order = []

    def record(layer, *_):
        if layer not in order:
            order.append(layer)

    hooks = [
        layer.register_forward_hook(record) for layer in net.modules() if isinstance(layer, LAYERS)
    ]
    run()
    for hook in hooks:
        hook.remove()
    return order


def _dense(kernel, flattened):
    if flattened is not None:
        channels, height, width = flattened
        kernel = kernel.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
    return kernel.reshape(-1, kernel.shape[-1]).T
