"""For how long OpenMP's threads spin for each other before they sleep: briefly, in every benchmark.

Beside any other program, what torch spins by default takes 30 times as long as the work. To be
imported before torch, which reads the variable once; processes that are started later inherit it.
"""

from __future__ import annotations

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")

_NAMES = ("GOMP_SPINCOUNT", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

SETTINGS = {name: os.environ[name] for name in _NAMES if name in os.environ}
"""Of OpenMP and BLAS, for the record of a run."""
