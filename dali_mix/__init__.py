"""Mixup and cutmix as native NVIDIA DALI operators.

The public names; each lives in a module of its own and is imported at first use, so that
`import dali_mix` loads neither DALI nor torch. The graph functions are in `dali_mix.fn`.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dali_mix._distributed import Shard, shard
    from dali_mix._plugin import load_plugin, plugin_path
    from dali_mix.loader import MixLoader
    from dali_mix.losses import MixLoss
    from dali_mix.manifold import manifold_mixup
    from dali_mix.manifold_target import ManifoldTarget
    from dali_mix.methods import (
        RICAP,
        CutMix,
        FMix,
        GridMix,
        MixUp,
        MultiMix,
        PatchMix,
        ResizeMix,
        SmoothMix,
    )
    from dali_mix.metrics import DominantAccuracy, MixAccuracy
    from dali_mix.multi_target import MultiMixTarget
    from dali_mix.plan import Plan
    from dali_mix.schedule import Scheduled
    from dali_mix.targets import MixTarget

_HOMES = {
    "CutMix": "methods",
    "DominantAccuracy": "metrics",
    "FMix": "methods",
    "GridMix": "methods",
    "ManifoldTarget": "manifold_target",
    "MixAccuracy": "metrics",
    "MixLoader": "loader",
    "MixLoss": "losses",
    "MixTarget": "targets",
    "MixUp": "methods",
    "MultiMix": "methods",
    "MultiMixTarget": "multi_target",
    "PatchMix": "methods",
    "Plan": "plan",
    "RICAP": "methods",
    "ResizeMix": "methods",
    "Scheduled": "schedule",
    "Shard": "_distributed",
    "SmoothMix": "methods",
    "load_plugin": "_plugin",
    "manifold_mixup": "manifold",
    "plugin_path": "_plugin",
    "shard": "_distributed",
}

__all__ = [
    "RICAP",
    "CutMix",
    "DominantAccuracy",
    "FMix",
    "GridMix",
    "ManifoldTarget",
    "MixAccuracy",
    "MixLoader",
    "MixLoss",
    "MixTarget",
    "MixUp",
    "MultiMix",
    "MultiMixTarget",
    "PatchMix",
    "Plan",
    "ResizeMix",
    "Scheduled",
    "Shard",
    "SmoothMix",
    "__version__",
    "load_plugin",
    "manifold_mixup",
    "plugin_path",
    "shard",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dali_mix' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"dali_mix.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            f"dali_mix.{name} needs PyTorch, which is not installed; run `pip install torch`."
        ) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
