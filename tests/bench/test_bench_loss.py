"""bench.loss: what a run writes."""

import json

import pytest

pytest.importorskip("torch")


from bench.loss import __main__ as loss
from dali_mix.measure.losses import CONTESTANTS


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "new" / "loss.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss.timing, "keep_freed_memory", lambda: None)
        loss.main([*"--classes 3 5 --batch 4 --rounds 3 --threads 1 --out".split(), str(out)])
    return json.loads(out.read_text())


def test_a_run_records_every_round_of_every_contestant(record):
    assert {"date", "cpu", "commit", "threads", "environment"} <= record["provenance"].keys()
    assert [size["classes"] for size in record["sizes"]] == [3, 5]
    for size in record["sizes"]:
        assert size["results"].keys() == CONTESTANTS.keys()
        assert all(len(result["wall"]["seconds"]) == 3 for result in size["results"].values())


def test_ratios_are_taken_within_each_round(record):
    results = record["sizes"][0]["results"]
    mixed, once = (results[name]["wall"] for name in ("MixLoss", "cross-entropy once"))
    ratios = sorted(a / b for a, b in zip(mixed["seconds"], once["seconds"], strict=True))
    assert mixed["ratio"]["median"] == pytest.approx(ratios[1])


def test_peak_memory_counts_at_least_the_gradient(record):
    for size in record["sizes"]:
        assert all(r["peak_bytes"] >= size["logits_bytes"] for r in size["results"].values())
