"""Sums up the results in a few sentences, for the top of bench/README.md and for the README."""

import re
from collections.abc import Callable
from typing import Any

from bench.operators.rows import FEED, UNMIXED, title
from bench.training.tables import sentence
from dali_mix.measure.comparisons import OURS, cost_of_mixing, verdict
from dali_mix.measure.operators import DEFAULT
from dali_mix.measure.tables import Table, interval
from dali_mix.measure.timing import ratio

Runs = dict[str, Any]
MARKS = re.compile(r"(<!-- made by [^\n]*-->\n).*?(<!-- end -->\n)", re.DOTALL)
CASES = (("float32", "CHW"), ("float16", "CHW"), ("float16", "HWC"), ("uint8", "HWC"))
BATCH, SIZE = 128, 224
MIXUP = OURS[0]
WAYS = {
    UNMIXED: "DALI's `crop_mirror_normalize`, which does not mix",
    "DALI stock, then cmn": "mixup of stock DALI operators",
    "torch eager": "mixup in PyTorch, as fastai does it",
    "torch.compile": "the same, compiled",
    "timm Mixup elem": "timm, `Mixup(mode='elem')`",
    "torchvision MixUp": "torchvision's `MixUp`",
}
DATALOADER = "DataLoader + Mixup"
GPU_UNKNOWN = "**Not measured yet:** anything on a GPU."


def in_readme(text: str, runs: Runs) -> str:
    """The README with new figures."""
    made = "\n".join(figures(runs)) + "\n"
    return MARKS.sub(lambda marks: marks[1] + made + marks[2], text)


def figures(runs: Runs) -> list[str]:
    """The list in the README: mixing from files on, mixing alone, what it is for, and what is not
    measured."""
    told = [
        *(f"**End to end:** {end_to_end(run)}" for run in newest(runs, "pipeline", on_cpu)),
        *(f"**Alone:** {times_faster(run)}" for run in newest(runs, "operators", has_cases)),
        *(f"**What it is for:** {learnt(run)}" for run in newest(runs, "demo")),
        *([] if on_gpu(runs) else [GPU_UNKNOWN]),
    ]
    return [f"- {line}" for line in told]


def headlines(runs: Runs) -> list[str]:
    """The top of bench/README.md: what is faster, what is slower, what is not known."""
    pipelines, alone = newest(runs, "pipeline", on_cpu), newest(runs, "operators", has_cases)
    cases = [
        case for run in runs.values() if run["benchmark"] == "operators" for case in run["cases"]
    ]
    return [
        *(f"**End to end:** {end_to_end(run)}{dearer(run)}" for run in pipelines),
        *(part for run in alone for part in operators(run)),
        *(loss_sentence(run["sizes"][-1]) for run in newest(runs, "loss")),
        *(sentence(run) for run in newest(runs, "training")),
        *([lost_sentence(cases)] if cases else []),
        *([] if on_gpu(runs) else [GPU_UNKNOWN]),
    ]


def newest(runs: Runs, kind: str, fits: Callable[[Any], bool] = bool) -> list[Any]:
    """The newest run of this benchmark that fits, if there is one."""
    found = [run for run in runs.values() if run["benchmark"] == kind and fits(run)]
    return sorted(found, key=lambda run: str(run["provenance"]["date"]))[-1:]


def on_cpu(run: Any) -> bool:
    return bool(run["settings"]["device"] == "cpu")


def has_cases(run: Any) -> bool:
    return all(map(case_in(run), CASES))


def on_gpu(runs: Runs) -> bool:
    return any(run["provenance"]["gpu"] for run in runs.values())


def case_in(run: dict[str, Any]) -> Any:
    """A function that finds a case by type and layout, in DALI's default executor if that was
    measured. The case is empty if it was not measured."""
    found = {
        (case["dtype"], case["layout"]): case
        for case in sorted(run["cases"], key=lambda case: case.get("executor") == DEFAULT)
        if (case["batch"], case["size"]) == (BATCH, SIZE)
    }
    return lambda kind: found.get(kind, {})


def operators(run: dict[str, Any]) -> list[str]:
    cases, where = list(map(case_in(run), CASES)), run["provenance"]
    default = "in DALI's default executor, " if cases[0].get("executor") == DEFAULT else ""
    rows = [[words, *(_times(case, way) for case in cases)] for way, words in WAYS.items()]
    return [
        f"How many times faster `dali_mix.fn.mixup` is than other ways from {BATCH} decoded images "
        f"of {SIZE} x {SIZE} to a normalised batch, {default}on {where['cores']} cores "
        f"({where['cpu']}):",
        Table([" ".join(kind) for kind in CASES], rows).markdown(),
    ]


def _times(case: dict[str, Any], way: str) -> str:
    return f"{ratio(case['results'], way, MIXUP):.1f}" if way in case["results"] else "-"


def end_to_end(run: dict[str, Any]) -> str:
    cost = cost_of_mixing(run["comparisons"], run["unmixed_of"])[MIXUP]
    found = {row["against"]: row for row in run["comparisons"] if row["contestant"] == MIXUP}
    times = found[DATALOADER]["speed"]["ratio"]
    return (
        f"from JPEG files to mixed tensors, `dali_mix` is {times:.1f} times faster than PyTorch's "
        f"`DataLoader` with timm's `Mixup`. {verdict(cost)}"
    )


def times_faster(run: dict[str, Any]) -> str:
    found = map(case_in(run), CASES[:2])
    single, half = ({name: ratio(case["results"], name, MIXUP) for name in WAYS} for case in found)
    return (
        f"mixup of {BATCH} images is {single['torch eager']:.1f} times faster than the few lines "
        f"of PyTorch that one would write ({half['torch eager']:.1f} times in float16), and "
        f"{single['DALI stock, then cmn']:.1f} times faster than DALI's own operators. It "
        f"replaces `crop_mirror_normalize`, which does not mix, and is {single[UNMIXED]:.1f} times "
        f"faster than that ({run['provenance']['cores']} cores, {run['provenance']['cpu']})."
    )


def learnt(run: dict[str, Any]) -> str:
    none, mixup = (
        {name: f"{100 * row[name]:.1f} %" for name in ("accuracy", "wrong_labels_learnt")}
        for row in run["results"]
        if row["mixing"] in ("none", "mixup")
    )
    return (
        "`make demo` trains on labels of which 40 % are wrong. A network learns "
        f"{none['wrong_labels_learnt']} of the wrong ones by heart, and with mixup "
        f"{mixup['wrong_labels_learnt']}. Its accuracy on test images rises from "
        f"{none['accuracy']} to {mixup['accuracy']}."
    )


def dearer(run: dict[str, Any]) -> str:
    """Who takes less CPU time."""
    rows = [row for row in run["comparisons"] if row["contestant"] == MIXUP]
    told = [f"{row['against']} ({interval(row['cpu'])} times)" for row in rows
            if row["cpu"]["low"] > 1]  # fmt: skip
    return f" It takes more CPU time than {', '.join(told)}; 95 % intervals." if told else ""


def lost(case: dict[str, Any]) -> list[tuple[float, str]]:
    """What mixes faster than dali_mix by the same method, and its time as a share of ours."""
    found = []
    for name in case["results"]:
        ours = OURS["cutmix" in name.lower()]
        mixes = name not in (FEED, UNMIXED) and not name.startswith(("dali_mix", "copy "))
        if mixes and (share := ratio(case["results"], name, ours)) < 1:
            found.append((share, name))
    return found


def lost_sentence(cases: list[dict[str, Any]]) -> str:
    told = [
        f"{title(case)}: {', '.join(f'{name} {share:.2f}' for share, name in sorted(found))}"
        for case in cases
        if (found := lost(case))
    ]
    if not told:
        return "No other way to mix was faster, in any case."
    return f"Where others mix faster, and their time as a share of ours: {'; '.join(told)}."


def loss_sentence(size: dict[str, Any]) -> str:
    result = size["results"]["MixLoss"]
    memory = result["peak_bytes"] / size["logits_bytes"]
    return (
        f"`MixLoss` takes {result['wall']['ratio']['median']:.2f} times as long as one "
        f"cross-entropy without mixing, at {size['classes']:,} classes, and {memory:.2f} times the "
        "memory of the logits."
    )
