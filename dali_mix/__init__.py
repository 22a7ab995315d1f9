"""Mixup and cutmix as native NVIDIA DALI operators.

Public names are imported from their modules at first use, so `import dali_mix` loads neither DALI
nor torch. The graph functions are in `dali_mix.fn`.
"""

import importlib
import inspect
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dali_mix.plugin.version import __version__ as __version__

if TYPE_CHECKING:  # for type checkers; the same names as below
    from dali_mix import dynamic as dynamic
    from dali_mix import fn as fn
    from dali_mix import migrate as migrate
    from dali_mix import recipes as recipes
    from dali_mix import reference as reference
    from dali_mix import training as training
    from dali_mix.graph.schedule import Scheduled as Scheduled
    from dali_mix.loader.mix_loader import MixLoader as MixLoader
    from dali_mix.loader.shards import Shard as Shard
    from dali_mix.loader.shards import shard as shard
    from dali_mix.methods import RICAP as RICAP
    from dali_mix.methods import CutMix as CutMix
    from dali_mix.methods import FMix as FMix
    from dali_mix.methods import GridMix as GridMix
    from dali_mix.methods import MixUp as MixUp
    from dali_mix.methods import Mosaic as Mosaic
    from dali_mix.methods import MultiMix as MultiMix
    from dali_mix.methods import PatchMix as PatchMix
    from dali_mix.methods import ResizeMix as ResizeMix
    from dali_mix.methods import SmoothMix as SmoothMix
    from dali_mix.plan import Plan as Plan
    from dali_mix.plugin.loading import load_plugin as load_plugin
    from dali_mix.plugin.loading import plugin_path as plugin_path
    from dali_mix.training.box_target import BoxTarget as BoxTarget
    from dali_mix.training.manifold import manifold_mixup as manifold_mixup
    from dali_mix.training.manifold_target import ManifoldTarget as ManifoldTarget
    from dali_mix.training.metrics import DominantAccuracy as DominantAccuracy
    from dali_mix.training.metrics import MixAccuracy as MixAccuracy
    from dali_mix.training.mix_loss import MixLoss as MixLoss
    from dali_mix.training.mix_target import MixTarget as MixTarget
    from dali_mix.training.multi_target import MultiMixTarget as MultiMixTarget
    from dali_mix.training.remix import Remix as Remix

_MODULES = ("dynamic", "fn", "migrate", "recipes", "reference", "training")
_HOMES = {
    "RICAP": "methods",
    "BoxTarget": "training.box_target",
    "CutMix": "methods",
    "DominantAccuracy": "training.metrics",
    "FMix": "methods",
    "GridMix": "methods",
    "ManifoldTarget": "training.manifold_target",
    "MixAccuracy": "training.metrics",
    "MixLoader": "loader.mix_loader",
    "MixLoss": "training.mix_loss",
    "MixTarget": "training.mix_target",
    "MixUp": "methods",
    "Mosaic": "methods",
    "MultiMix": "methods",
    "MultiMixTarget": "training.multi_target",
    "PatchMix": "methods",
    "Plan": "plan",
    "Remix": "training.remix",
    "ResizeMix": "methods",
    "Scheduled": "graph.schedule",
    "Shard": "loader.shards",
    "SmoothMix": "methods",
    "load_plugin": "plugin.loading",
    "manifold_mixup": "training.manifold",
    "plugin_path": "plugin.loading",
    "shard": "loader.shards",
}

__all__ = ["__version__", *_HOMES]

if not TYPE_CHECKING:  # a type checker would take any name for one of these

    def __getattr__(name):
        if name in _MODULES:
            return importlib.import_module(f"dali_mix.{name}")
        if name not in _HOMES:
            error = _no_attribute(name)
            # For `from dali_mix import NAME` importlib asks, and ignores an AttributeError, because
            # NAME may be a module that is not imported yet. An ImportError keeps our sentence.
            asks = inspect.currentframe().f_back.f_globals["__name__"]
            is_import = asks == "importlib._bootstrap" and not find_spec(f"dali_mix.{name}")
            raise ImportError(str(error)) if is_import and "did you mean" in str(error) else error
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
    return sorted({*globals(), *_HOMES, *_MODULES})


def _no_attribute(name: str) -> AttributeError:
    from dali_mix.methods.calls import GRAPH_FUNCTIONS, no_attribute

    known = {there: f"dali_mix.{there}" for there in (*_HOMES, *_MODULES)}
    functions = {there: f"dali_mix.fn.{there}" for there in GRAPH_FUNCTIONS}
    return no_attribute("dali_mix", name, known, functions)
