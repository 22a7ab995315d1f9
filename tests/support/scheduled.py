"""A pipeline with two scheduled numbers, and its loader, for the tests of schedules."""

import dali_mix.fn as dmix
from dali_mix import MixLoader, MixUp, Scheduled

# isort: split
from nvidia.dali import Pipeline, fn

ALPHA = Scheduled("alpha", 1.0)
PROB = Scheduled("prob", 1.0, most=1)


def mixing(root, seed=1, shard_id=0, num_shards=1, batch_size=4, depth=2, **draw):
    """A pipeline that returns the pixels, three columns of the plan, and the scheduled prob."""
    pipeline = Pipeline(
        batch_size,
        num_threads=1,
        device_id=None,
        seed=seed,
        prefetch_queue_depth=depth,
        enable_checkpointing=True,
    )
    with pipeline:
        shard = {"shard_id": shard_id, "num_shards": num_shards}
        encoded, _ = fn.readers.file(file_root=str(root), pad_last_batch=True, **shard)
        images = fn.resize(fn.decoders.image(encoded), size=(6, 5))
        plan = dmix.plan(images, methods=MixUp(ALPHA), **({"prob": PROB} | draw))
        x = dmix.apply(images, plan)
        pipeline.set_outputs(x, plan.lam, plan.partner, plan.blend, PROB.node())
    return pipeline


def loader_of(root, **options):
    return MixLoader(lambda: mixing(root, **options), mixed=False, last_batch="fill")
