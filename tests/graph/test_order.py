"""One random state, one stream of batches: whatever the threads, the prefetching, the instruction
set, the executor and the mode. Different ranks, different streams."""

import itertools

import numbered
import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
from helpers import CPU_PATHS, arrays, build, feed, fingerprints, stacked
from nvidia.dali import fn, types

import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import CutMix, MixUp, shard

NODES, PER_NODE = 2, 4
METHODS = [MixUp(0.3), CutMix(1.0)]
DRAWS = [{}, {"per": "pair", "prob": 0.7}, {"per": "batch", "choose_per": "batch"}]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), 23)


def stream(root, epochs=2, **arguments):
    """Every batch of a loader of batches of 7."""
    arguments = {"batch_size": 7, "last_batch": "partial"} | arguments
    loader = numbered.noisy(root, **arguments)
    return [batch for _ in range(epochs) for batch in loader]


@pytest.fixture(scope="module")
def expected(photos):
    return stream(photos, num_threads=1, prefetch_queue_depth=1)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_and_prefetching_change_nothing(photos, expected, threads, depth):
    got = stream(photos, num_threads=threads, prefetch_queue_depth=depth)
    numbered.assert_same(got, expected)


@pytest.mark.parametrize("path", CPU_PATHS)
def test_the_instruction_set_changes_nothing(photos, expected, monkeypatch, path):
    monkeypatch.setenv("DALI_MIX_CPU", path)
    numbered.assert_same(stream(photos, num_threads=3), expected)


def test_another_seed_changes_everything(photos, expected):
    """So that the equalities above are none of constants."""
    other = stream(photos, seed=1)
    assert all(not np.array_equal(x, x2) for (x, _), (x2, _) in zip(other, expected, strict=True))
    blended = [
        {lam for lam in numbered.lams(batches) if lam * numbered.SIZE**2 % 1}  # no count of pixels
        for batches in (other, expected)
    ]
    assert min(map(len, blended)) > 9 and not blended[0] & blended[1]


# pipelines of one's own


def images_of(size):
    """Batches of 5, 1, 8 and 3 images."""
    batches = [fingerprints(count, *size) for count in (5, 1, 8, 3)]
    return feed(batches, "HWC"), feed([[np.int64(i) for i in range(len(b))] for b in batches])


def outputs(draw, **options):
    """Everything that twelve batches hold."""

    def graph():
        images, labels = images_of((11, 13))
        mirror = fn.random.coin_flip()
        return dmix.mix(images, labels, METHODS, dtype=types.FLOAT16, mirror=mirror, **draw)

    pipeline = build(graph, batch_size=8, **options)
    return [[a.tobytes() for part in pipeline.run() for a in arrays(part)] for _ in range(12)]


@pytest.mark.parametrize("draw", DRAWS)
def test_executor_threads_and_depth_change_nothing_for_batches_of_any_size(draw):
    first = outputs(draw, exec_dynamic=False, num_threads=1)
    assert first[0] != first[4]  # the same images, drawn anew
    for dynamic, threads, depth in itertools.product([False, True], [1, 3, 7], [1, 4]):
        options = {"num_threads": threads, "prefetch_queue_depth": depth}
        assert outputs(draw, exec_dynamic=dynamic, **options) == first


def words_of(rng, batches):
    """The random states that a dynamic generator gives to its next calls, as pipeline mode takes
    them; the generator is put back."""
    state = rng.get_state()
    words = [np.array([rng() for _ in range(7)], np.uint32) for _ in range(batches)]
    rng.set_state(state)
    return words


@pytest.mark.parametrize("draw", DRAWS)
def test_dynamic_mode_makes_the_stream_of_pipeline_mode(draw):
    counts, rng = (6, 1, 8, 3, 5), ndd.random.RNG(11)
    words, dynamic = words_of(rng, len(counts)), []
    for count in counts:
        images = ndd.batch([ndd.tensor(i, layout="HWC") for i in fingerprints(count, 24, 40)])
        plan = dali_mix.dynamic.plan(images, None, METHODS, rng=rng, **draw)
        x = dali_mix.dynamic.apply(images, plan, mean=[3.0, 2.0, 1.0])
        dynamic.append([stacked(part) for part in (*plan, x) if part is not None])

    def graph():
        images = feed([fingerprints(count, 24, 40) for count in counts], "HWC")
        state = feed([[word] * count for word, count in zip(words, counts, strict=True)])
        plan = fn.dali_mix.plan(
            images,
            methods=["mixup", "cutmix"],
            alpha=[0.3, 1.0],
            fold=[1, 0],
            weights=[1.0, 1.0],
            _random_state=state,
            **draw,
        )
        return *plan, dmix.apply(images, dmix.Plan(*plan), mean=[3.0, 2.0, 1.0])

    pipeline = build(graph, batch_size=8)
    for batch in dynamic:
        for one, other in zip(batch, pipeline.run(), strict=True):
            assert one.tobytes() == stacked(other).tobytes()


@pytest.mark.gpu
@pytest.mark.parametrize("draw", DRAWS)
def test_images_on_the_gpu_are_mixed_by_the_same_stream(draw):
    def stream_on(device, depth):
        def graph():
            batches = [fingerprints(count, 24, 40) for count in (5, 1, 8, 3)]
            images = feed(batches, "HWC", device)
            plan = dmix.plan(images, None, METHODS, **draw)
            return *plan, dmix.apply(images, plan, dtype=types.FLOAT16)

        pipeline = build(graph, batch_size=8, device=device, prefetch_queue_depth=depth)
        return [[a.tobytes() for part in pipeline.run() for a in arrays(part)] for _ in range(12)]

    first = stream_on("cpu", 1)
    for depth in (1, 2, 4):
        assert stream_on("gpu", depth) == first


# ranks; what they read and draw through a loader is in test_loader_distributed.py


@pytest.fixture
def shards(monkeypatch):
    """As torchrun starts them on two nodes of four processes."""

    def of_run(**arguments):
        made = []
        for node, local in itertools.product(range(NODES), range(PER_NODE)):
            rank = node * PER_NODE + local
            given = {"RANK": rank, "WORLD_SIZE": NODES * PER_NODE}
            given |= {"LOCAL_RANK": local, "LOCAL_WORLD_SIZE": PER_NODE, "GROUP_RANK": node}
            for name, value in given.items():
                monkeypatch.setenv(name, str(value))
            made.append(shard(**arguments))
        return made

    return of_run


def draws(seed, batches=40):
    """What two plan operators and another one draw in one pipeline, sample after sample."""

    def graph():
        lams = [dmix.plan(None, None, MixUp(1.0, fold=False), size=(9, 8)).lam for _ in range(2)]
        return *lams, fn.random.uniform(range=[0.0, 1.0])

    pipeline = build(graph, batch_size=5, seed=seed)
    runs = [[stacked(part) for part in pipeline.run()] for _ in range(batches)]
    return [np.concatenate(column) for column in zip(*runs, strict=True)]


def in_pairs(sequence):
    return set(itertools.pairwise(sequence.tolist()))


def test_no_rank_draws_what_another_one_draws_at_any_other_time(shards):
    """Seeds of ranks are neighbours: a generator that is one step ahead of the next rank's would
    give the same numbers later, or to another operator."""
    columns = [column for made in shards() for column in draws(made.seed)]
    pairs = [in_pairs(column) for column in columns]
    assert len(columns) == 3 * 8 and all(len(p) == 40 * 5 - 1 for p in pairs)
    assert len(set().union(*pairs)) == sum(map(len, pairs))


def test_all_ranks_draw_the_same_on_request(shards):
    first, *others = [draws(made.seed, 5) for made in shards(same_draws=True)]
    for other in others:
        for one, two in zip(first, other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_ranks_are_numbered_through_all_nodes(shards):
    made = shards(seed=3)
    assert [(s.shard_id, s.num_shards) for s in made] == [(rank, 8) for rank in range(8)]
    assert len({s.seed for s in made} | {s.seed for s in shards(seed=4)}) == 16
