"""bench/kernel_facts.py reads what ptxas and nvdisasm say, and the report counts bytes rightly."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import kernel_facts, report_kernel

HALF = (
    "dali_mix::MixInline<dali_mix::VectorTile<dali_mix::Half, 3, 4, true> >(dali_mix::InlineBatch)"
)
ANY = (
    "dali_mix::MixUploaded<dali_mix::AnyTile<dali_mix::Copied<unsigned long>, "
    "dali_mix::Copied<unsigned long> >, true>(dali_mix::UploadedBatch)"
)
PTXAS = f"""ptxas info    : Compiling entry function 'void {HALF}' for 'sm_90'
ptxas info    : Function properties for void {HALF}
    40 bytes stack frame, 24 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 48 registers, used 0 barriers
ptxas info    : Compiling entry function 'void {ANY}' for 'sm_90'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 30 registers, used 0 barriers
"""
LISTING = f"""
.text. void {ANY}:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/              @!P0 LD.E R24, desc[UR4][R26.64] ;
.text. void {HALF}:
        /*0020*/                   LDG.E.128.CONSTANT R20, desc[UR16][R4.64] ;
        /*0030*/              @!P0 LDG.E.U8 R24, desc[UR16][R6.64] ;
        /*0040*/                   STG.E.64 desc[UR16][R12.64], R8 ;
        /*0050*/               @P6 STG.E.U16 desc[UR16][R12.64+0x2], R8 ;
        /*0060*/                   STL [R1], R8 ;
"""


def test_facts_of_each_kernel_come_together():
    kernels = kernel_facts.merge(kernel_facts.resources(PTXAS), kernel_facts.accesses(LISTING))
    half, other = kernels
    assert half == {
        "kernel": "MixInline",
        "tile": "VectorTile",
        "layered": False,
        "in": "uint8",
        "out": "float16",
        "layout": "CHW",
        "channels": 3,
        "out_channels": 4,
        "stack": 40,
        "spill_stores": 24,
        "spill_loads": 12,
        "registers": 48,
        "loads": {"16": 1, "1": 1},
        "stores": {"8": 1, "2": 1},
        "instructions": 5,
        "local": 1,
    }
    assert (other["tile"], other["layered"], other["registers"]) == ("AnyTile", True, 30)
    assert (other["loads"], other["instructions"]) == ({"4": 1}, 2)


def test_a_kernel_without_a_listing_is_refused():
    with pytest.raises(SystemExit, match="do not speak of the same kernels"):
        kernel_facts.merge(kernel_facts.resources(PTXAS), {})


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_bytes_are_those_of_the_arrays(dtype):
    """Each operator reads its inputs and writes its output."""
    value, wide, out = np.zeros(1, np.uint8), np.zeros(1, np.float32), np.zeros(1, dtype)
    before = [(value, value), (value, wide), (value, wide), (wide, wide, wide), (wide, out)]
    after = [(value, wide), (wide, wide), (wide, wide), (wide, wide), (wide, wide, wide)]
    if dtype is np.float16:
        after.append((wide, out))
    operators = [[(value, out)], [(value, value, out)], [(value, out)], before, after]
    expected = [sum(a.nbytes for arrays in one for a in arrays) for one in operators]
    assert list(report_kernel.moved(np.dtype(dtype).itemsize).values()) == expected


def test_registers_bound_the_resident_threads():
    # 64 registers for each of 1,024 threads are all that there are; 65 count as 72.
    assert [report_kernel.resident_threads(r) for r in (32, 64, 65, 128)] == [2048, 1024, 768, 512]
