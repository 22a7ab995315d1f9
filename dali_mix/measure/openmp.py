"""Makes OpenMP's threads spin only briefly for each other before they sleep, in every benchmark.

By default, torch's threads spin 30 times as long as the work takes if another program runs. Import
this before torch, which reads the variable once; child processes inherit it.
"""

from __future__ import annotations

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")

_NAMES = ("GOMP_SPINCOUNT", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

SETTINGS = {name: os.environ[name] for name in _NAMES if name in os.environ}
"""Settings of OpenMP and BLAS, for the record of a run."""
