"""Another loss on an old problem: what is assigned is what is used, in steps and evaluations."""

import alig_deepobs

alig_deepobs.register("pytorch")

import torch  # noqa: E402
from deepobs.pytorch.testproblems import digits_logreg  # noqa: E402

torch.manual_seed(0)
problem = digits_logreg(32)
problem.set_up()
problem.train_init_op()
evaluate = problem.get_batch_loss_and_accuracy_func()
before, accuracy = evaluate()
plain = torch.nn.CrossEntropyLoss
problem.loss_function = lambda reduction="mean": lambda x, y: 3.0 * plain(reduction=reduction)(x, y)
after, again = evaluate()
assert torch.isclose(after, 3.0 * before)
assert accuracy == again
single, _ = problem.get_batch_loss_and_accuracy(reduction="none")
assert single.shape == (32,)
