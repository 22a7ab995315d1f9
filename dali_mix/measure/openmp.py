"""For how long OpenMP's threads spin for each other before they sleep: briefly, in every benchmark.

Beside any other program, what torch spins by default takes 30 times as long as the work. To be
imported before torch, which reads the variable once; processes that are started later inherit it.
"""

from __future__ import annotations

import os

VARIABLE = "GOMP_SPINCOUNT"

os.environ.setdefault(VARIABLE, "1000")

SETTINGS = {VARIABLE: os.environ[VARIABLE]}
"""For the record of a run."""
