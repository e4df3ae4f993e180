"""``deepobs.pytorch.config`` of DeepOBS 1.2: device, workers, determinism; and the split."""

from __future__ import annotations

import torch

from alig_deepobs.runners.deepobs.accessors import accessors, one_of

get_default_device, set_default_device = accessors(
    "cuda:0" if torch.cuda.is_available() else "cpu", str
)
# Worker processes for data, for scripts that ask: data live on the device, so none are started.
get_num_workers, set_num_workers = accessors(0, int)
# Whether cuDNN is kept deterministic while a run trains.
get_is_deterministic, set_is_deterministic = accessors(True, bool)
# "validation" is DeepOBS 1.2's split, "full" DeepOBS 1.1.2's.
get_split, set_split = accessors("validation", one_of("split", "validation", "full"))
