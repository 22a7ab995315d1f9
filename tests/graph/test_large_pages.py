"""Large outputs on the CPU lie in large pages, where Linux has them."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import fingerprints

from dali_mix import MixUp
from dali_mix.measure.graphs import ours
from dali_mix.measure.outputs import Output
from dali_mix.measure.pipelines import array_pipeline

LARGE = 2 << 20
PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def asked_for(address):
    """Whether the mapping of an address asks for large pages."""
    for mapping in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text()):
        begin, end = (int(x, 16) for x in re.match(r"(\w+)-(\w+) ", mapping or "0-0 ").groups())
        if begin <= address < end:
            return " hg" in re.search(r"VmFlags:.*", mapping)[0]
    raise LookupError(hex(address))


@pytest.mark.skipif(not PAGES.exists(), reason="this Linux has no large pages")
@pytest.mark.parametrize("on_demand", [True, False])
def test_the_inside_of_a_large_output_asks_for_large_pages(on_demand):
    images = np.stack(fingerprints(8, 211, 307))
    pipeline = array_pipeline(
        [images], ours(MixUp()), Output("float32"), threads=1, seed=3, on_demand=on_demand
    ).pipeline
    x, *_ = pipeline.run()
    begin, size = x[0].data_ptr(), images.nbytes * np.dtype(np.float32).itemsize
    inside = range(-(-begin // LARGE) * LARGE, (begin + size) // LARGE * LARGE, LARGE)
    assert inside and all(map(asked_for, inside))
