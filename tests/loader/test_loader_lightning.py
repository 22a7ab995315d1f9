"""Lightning's Trainer around a loader: it asks for states, says which epoch begins, and looks at
some batches before it trains."""

import warnings

import numbered
import pytest
import torch
from nvidia.dali import fn

from dali_mix import MixLoader, MixUp

lightning = pytest.importorskip("lightning")
pytestmark = pytest.mark.filterwarnings("ignore")

COUNT = 31


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), COUNT)


def training(root):
    return numbered.loader(root, methods=MixUp(1.0))  # seven batches


class Model(lightning.LightningModule):
    """Takes note of what it sees, by the sum of the pixels of each batch."""

    def __init__(self, make, make_val=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.make, self.make_val, self.seen, self.seen_val = make, make_val, [], []

    def train_dataloader(self):
        return self.make()

    def val_dataloader(self):
        return self.make_val() if self.make_val else []

    def training_step(self, batch, number):
        self.seen.append((self.current_epoch, batch[0].double().sum().item()))
        return self.weight.sum()

    def validation_step(self, batch, number):
        self.seen_val.append(batch[1].tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(model, folder, epochs, saved=None, **options):
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **options,
    )
    trainer.fit(model, ckpt_path=saved)
    return model.seen


def expected(loader, epochs, limit=None):
    sums = [[x.double().sum().item() for x, _ in loader] for _ in range(epochs)]
    return [(epoch, total) for epoch in range(epochs) for total in sums[epoch][:limit]]


def own(root, *more, checkpoints=False):
    """A function that makes a pipeline as in the README."""

    def graph(images, labels):
        return images, *(use(labels) for use in more or [lambda y: y])

    def make():
        return numbered.cropping(root, checkpoints=checkpoints, graph=graph)

    return make


@pytest.mark.parametrize("kind", ["object", "function", "python function"])
def test_it_saves_checkpoints_of_a_loader_that_has_no_state(photos, tmp_path, kind):
    tap = (lambda y: fn.python_function(y, function=lambda y: y),) if "python" in kind else ()
    make = own(photos, *tap, checkpoints=bool(tap))
    given = make() if kind == "object" else make
    seen = fit(Model(lambda: MixLoader(given)), tmp_path, 2)
    assert seen == expected(MixLoader(make), 2)
    assert list(tmp_path.glob("**/*.ckpt"))


def test_resumed_after_an_epoch_it_gets_the_next_one(photos, tmp_path):
    fit(Model(lambda: training(photos)), tmp_path, 1)
    (saved,) = tmp_path.glob("**/*.ckpt")
    seen = fit(Model(lambda: training(photos)), tmp_path / "more", 3, saved)
    assert seen == [one for one in expected(training(photos), 3) if one[0] > 0]


def test_resumed_within_an_epoch_it_gets_the_rest(photos, tmp_path):
    every = lightning.pytorch.callbacks.ModelCheckpoint(
        dirpath=tmp_path / "saved", every_n_train_steps=10, save_top_k=-1
    )
    straight = fit(Model(lambda: training(photos)), tmp_path, 2, callbacks=[every])
    assert straight == expected(training(photos), 2)
    (saved,) = (tmp_path / "saved").glob("*step=10.ckpt")
    assert fit(Model(lambda: training(photos)), tmp_path, 2, saved) == straight[10:]


@pytest.mark.parametrize("kind", ["folder", "object"])
def test_sanity_checks_and_limits_leave_whole_epochs(photos, tmp_path, kind):
    def validation():
        if kind == "object":
            return MixLoader(numbered.reading(photos, mix=False))
        return numbered.loader(photos, training=False)

    model = Model(lambda: training(photos), validation)
    options = {"limit_train_batches": 3, "num_sanity_val_steps": 2, "val_check_interval": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen = fit(model, tmp_path, 2, **options)
    assert seen == expected(training(photos), 2, limit=3)
    once = [y.tolist() for _, y in validation()]
    assert model.seen_val == once[:2] + once * 6  # after each of six steps
