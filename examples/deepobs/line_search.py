"""A line search: the same mini-batch is evaluated again after each trial step."""

import alig_deepobs

alig_deepobs.register("pytorch")

import torch  # noqa: E402
from deepobs.pytorch.testproblems import quadratic_deep  # noqa: E402

torch.manual_seed(42)
problem = quadratic_deep(128)
problem.set_up()
problem.train_init_op()
(theta,) = problem.net.parameters()
losses = []
while True:
    try:
        evaluate = problem.get_batch_loss_and_accuracy_func()
    except StopIteration:
        break
    loss, _ = evaluate()
    (gradient,) = torch.autograd.grad(loss, theta)
    step, start = 0.1, theta.detach().clone()
    while True:
        with torch.no_grad():
            theta.copy_(start - step * gradient)
        if evaluate()[0] <= loss - 0.5 * step * gradient.square().sum():
            break
        step /= 2
    losses.append(loss.item())
assert losses[-1] < losses[0]
assert len(losses) == 7
