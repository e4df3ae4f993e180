"""`deepobs.config`: defaults that are edited take effect, and so does the default device."""

import alig_deepobs

alig_deepobs.register("pytorch")

import deepobs.pytorch  # noqa: E402
import torch  # noqa: E402
from deepobs import config  # noqa: E402
from deepobs.pytorch.runners import StandardRunner  # noqa: E402

assert len(dir(config)) == 21
assert config.get_data_dir() == "data_deepobs"
config.DEFAULT_TEST_PROBLEMS_SETTINGS["digits_logreg"]["num_epochs"] = 0
config.DEFAULT_TEST_PROBLEMS_SETTINGS["digits_logreg"]["batch_size"] = 17
deepobs.pytorch.config.set_default_device("cpu")
output = StandardRunner(torch.optim.SGD, {"lr": {"type": float}}).run(
    "digits_logreg", {"lr": 0.1}, no_logs=True
)
assert (output["num_epochs"], output["batch_size"]) == (0, 17)
assert output["split"] == "validation"
problem = deepobs.pytorch.testproblems.digits_logreg(17)
assert problem.split == "validation"
assert problem._device == torch.device("cpu")
