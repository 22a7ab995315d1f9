"""The PyTorch side: targets, losses, metrics and hidden-layer mixing. Imports no DALI.

`apply`, `apply_mask`, `pair_labels` and `resized` are those of `dali_mix.fn` for tensors. The other
names are in `dali_mix`.
"""

from dali_mix.training.mixing import apply, apply_mask, pair_labels
from dali_mix.training.plan_tensors import resized

__all__ = ["apply", "apply_mask", "pair_labels", "resized"]
