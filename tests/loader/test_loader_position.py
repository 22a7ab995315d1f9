"""Where a pipeline stands after any number of batches: computed, and as DALI itself has it."""

import numbered
import numpy as np
import pytest
from nvidia.dali import Pipeline, fn, types

import dali_mix.fn as dmix
from dali_mix import MixUp
from dali_mix.loader.dali_checkpoint import states_of_operators
from dali_mix.loader.position import Base, checkpoint_after, why_not


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), 23)


RANDOM = {
    "batch_permutation": lambda x, e: fn.batch_permutation(),
    "beta": lambda x, e: fn.random.beta(),
    "bbox_crop": lambda x, e: fn.random_bbox_crop(
        types.Constant(np.float32([[0.1, 0.1, 0.9, 0.9]])), num_attempts=5
    ),
    "choice": lambda x, e: fn.random.choice(5),
    "coin_flip": lambda x, e: fn.random.coin_flip(),
    "crop": lambda x, e: fn.random_crop_generator(x.shape()),
    "decoder": lambda x, e: fn.resize(fn.decoders.image_random_crop(e), size=9),
    "gaussian": lambda x, e: fn.noise.gaussian(x, stddev=9.0),
    "mask_pixel": lambda x, e: fn.segmentation.random_mask_pixel(x, foreground=0),
    "normal": lambda x, e: fn.random.normal(x),
    "resized_crop": lambda x, e: fn.random_resized_crop(x, size=9),
    "roi_crop": lambda x, e: fn.roi_random_crop(
        crop_shape=[9, 9, 3], roi_start=[0, 0, 0], roi_shape=[12, 12, 3], in_shape=[20, 24, 3]
    ),
    "salt_and_pepper": lambda x, e: fn.noise.salt_and_pepper(x),
    "shot": lambda x, e: fn.noise.shot(x, factor=9.0),
    "uniform": lambda x, e: fn.random.uniform(range=[0, 1]),
    "object_bbox": lambda x, e: fn.segmentation.random_object_bbox(x[:, :, 0]),
    "plan": lambda x, e: dmix.plan(x, methods=MixUp(1.0)).lam,
}


@pytest.mark.parametrize("draw", RANDOM.values(), ids=RANDOM)
def test_the_computed_state_is_the_one_that_dali_has(photos, draw):
    """For each random operator of DALI alone, so that one that counts otherwise is found."""
    pipeline = Pipeline(4, num_threads=1, device_id=None, seed=2, enable_checkpointing=True)
    with pipeline:
        encoded, _ = fn.readers.file(
            file_root=str(photos), pad_last_batch=True, random_shuffle=True, num_shards=2
        )
        images = fn.decoders.image(encoded)
        drawn = draw(images, encoded)
        pipeline.set_outputs(images, *(drawn if isinstance(drawn, (list, tuple)) else [drawn]))
    pipeline.build()
    base = Base(0, pipeline.checkpoint())
    for batches in range(1, 14):
        pipeline.run()
        assert why_not(pipeline) is None
        computed = checkpoint_after(pipeline, base, batches)
        assert states_of_operators(computed) == states_of_operators(pipeline.checkpoint())
        if batches == 5:
            base = Base(5, pipeline.checkpoint())
