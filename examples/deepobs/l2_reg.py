"""The L2 factor under its later name, its groups, and the term in the loss."""

import alig_deepobs

alig_deepobs.register("pytorch")

from deepobs.pytorch.runners import StandardRunner  # noqa: E402

problem = StandardRunner.create_testproblem("digits_mlp", 32, l2_reg=0.1, random_seed=1)
assert problem._l2_reg == problem._weight_decay == 0.1
groups = problem.get_regularization_groups()
assert {factor: len(members) for factor, members in groups.items()} == {0.1: 3, 0.0: 3}
problem.train_init_op()
evaluate = problem.get_batch_loss_and_accuracy_func(add_regularization_if_available=False)
plain, _ = evaluate()
norms = sum(weight.square().sum().item() for weight in groups[0.1])
assert abs(float(problem.get_regularization_loss()) - 0.05 * norms) < 1e-4 * norms
