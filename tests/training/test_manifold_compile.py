"""manifold_mixup beside torch.compile: what is mixed, and what is refused."""

import contextlib

import pytest
import torch
from manifold_models import N, by_hand, dense, make_target, mixed

from dali_mix import manifold_mixup


@pytest.fixture
def graphs():
    """A backend that counts the graphs it compiles."""
    torch.compiler.reset()
    compiled = []
    yield lambda graph, _: compiled.append(graph) or graph.forward, compiled
    torch.compiler.reset()


# Dynamo looks at .grad of what passes between the layers.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("used_before", [False, True])
def test_a_model_compiled_layer_by_layer_is_mixed_without_recompiling(graphs, used_before):
    torch.manual_seed(0)
    backend, compiled = graphs
    model, x = dense(), torch.randn(N, 4)
    layers = ["first", "second", "third"]
    parts = {name: getattr(model, name) for name in layers}
    for name, part in parts.items():
        setattr(model, name, torch.compile(part, backend=backend, fullgraph=True))
    if used_before:
        model(x)
    for step in range(9):
        target = make_target(torch.randperm(N), torch.rand(N))
        with manifold_mixup(model, layers=[layers[step % 3]], target=target):
            out = model(x)
        torch.testing.assert_close(out, by_hand(model, x, target, layers[step % 3]))
    assert len(compiled) == 3


def test_the_input_of_a_model_compiled_as_a_whole_is_mixed_without_recompiling(graphs):
    torch.manual_seed(0)
    backend, compiled = graphs
    model, x = dense(), torch.randn(N, 4)
    whole = torch.compile(model, backend=backend, fullgraph=True)
    for _ in range(4):
        target = make_target(torch.randperm(N), torch.rand(N))
        with manifold_mixup(whole, include_input=True, target=target):
            out = whole(x)
        torch.testing.assert_close(out, model(mixed(x, target).float()))
    assert len(compiled) == 1


@pytest.mark.parametrize("how", ["around", "in place", "a layer in place"])
def test_a_layer_inside_a_compiled_module_is_refused(how):
    model = dense()
    called = torch.compile(model, backend="eager") if how == "around" else model
    if how == "in place":
        model.compile(backend="eager")
    elif how == "a layer in place":
        model.first.compile(backend="eager")
    with pytest.raises(ValueError, match=r"first' lies inside a compiled module"):
        manifold_mixup(called, layers=["first"], target=make_target())


@pytest.mark.parametrize("used_before", [False, True])
def test_behind_the_back_of_the_context_a_compiled_model_is_mixed_or_an_error(graphs, used_before):
    """The context gets the model as it was, the compiled one is called: never silently unmixed."""
    torch.manual_seed(0)
    model, x = dense(), torch.randn(N, 4)
    whole = torch.compile(model, backend=graphs[0])
    if used_before:
        whole(x)
    for _ in range(3):
        target = make_target(torch.randperm(N), torch.rand(N))
        with contextlib.ExitStack() as stack:
            if used_before:  # its graph knows of no hook
                stack.enter_context(pytest.raises(RuntimeError, match="did not run inside"))
            with manifold_mixup(model, layers=["first"], target=target):
                out = whole(x)
            torch.testing.assert_close(out, by_hand(model, x, target, "first"))
    torch.testing.assert_close(whole(x), model(x))
