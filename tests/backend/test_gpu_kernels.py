"""Every operation of a step has a kernel for GPUs, in its types.

TensorFlow registers kernels for GPUs where there is none, too: a step is built
as it would be on a GPU, its operations are listed, and each is looked up.
"""

import pretend
import pytest
import tensorflow as tf
import toys
from tensorflow.python.framework import kernels

from nst_tf.backend import canvas, device, ops
from nst_tf.losses import style_kinds
from nst_tf.network import architectures
from nst_tf.optimize import descent
from nst_tf.plan import optimizers
from nst_tf.runs import runner

# What a graph is made of: the runtime resolves these, no device does.
STRUCTURE = {
    *("Placeholder", "PlaceholderWithDefault", "Const", "NoOp", "_Arg"),
    *("_Retval", "PartitionedCall", "StatefulPartitionedCall", "While"),
    *("StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"),
}
GPU = {"GPU", "DEFAULT"}  # device types of kernels; the latter: any device


@pytest.fixture
def built(monkeypatch):
    """Builds steps as for a GPU; a list of what each made of operations."""
    monkeypatch.setattr(device, "is_gpu", lambda: True)
    monkeypatch.setattr(canvas, "_has_gpu", lambda: True)
    monkeypatch.setattr(ops, "_can_compile", lambda: False)
    make, found = descent.make_train_step, []

    def listen(*arguments):
        step = make(*arguments)

        def call():
            result = step()
            found.append(step.get_concrete_function().graph.as_graph_def())
            return result

        return call

    monkeypatch.setattr(descent, "make_train_step", listen)
    return found


def _list_missing(graph):
    """Lists the operations of a graph that no GPU has, with their types."""
    nodes = [*graph.node]
    for function in graph.library.function:
        nodes += function.node_def
    functions = {each.signature.name for each in graph.library.function}
    missing = set()
    for node in nodes:
        if node.op in STRUCTURE | functions:
            continue
        types = {
            name: value.type for name, value in node.attr.items() if value.type
        }
        for kernel in kernels.get_registered_kernels_for_op(node.op).kernel:
            if kernel.device_type in GPU and all(
                types.get(each.name) in (None, *each.allowed_values.list.type)
                for each in kernel.constraint
            ):
                break
        else:
            named = [tf.dtypes.as_dtype(each).name for each in types.values()]
            missing.add(f"{node.op} of {', '.join(sorted(named))}")
    return missing


# Each of these changes what a step is made of.
CASES = [
    *({"style_loss": name} for name in style_kinds.STYLE_LOSSES),
    *({"optimizer": name} for name in optimizers.OPTIMIZERS),
    *({"pooling": name} for name in architectures.POOLINGS),
    *({"padding": name} for name in architectures.PADDINGS),
    *({"convention": name} for name in ("keras", "neural_style_pt")),
    *({"grain_weight": 0.05}, {"tolerance": 1e-9}, {"bounds": "none"}),
    *(
        {"convolution": "winograd", "precision": "float32"},
        {"content_target": "recompute"},
    ),
]
# Parts of the content are read from the host's memory, on the host.
READS_HOST = {"PyFunc of "}
PRECISIONS = ("float32", "bfloat16", "float16")


def _list_steps():
    """Lists the steps to build: cases, whole or in tiles, precisions."""
    for case in CASES:
        for tile in (0, 32):
            # What a style loss sums is cast; all else is as in any precision.
            several = "style_loss" in case
            for precision in PRECISIONS if several else PRECISIONS[1:2]:
                name = "=".join(map(str, next(iter(case.items()))))
                place = "tiles" if tile else "whole"
                quick = name == "style_loss=mix" and precision == PRECISIONS[1]
                yield pytest.param(
                    *(case, tile, precision),
                    id=f"{name}-{place}-{precision}",
                    marks=[] if quick else [pytest.mark.slow],
                )


@pytest.mark.parametrize(("case", "tile", "precision"), [*_list_steps()])
def test_every_operation_has_a_kernel(built, toy, case, tile, precision):
    kind = style_kinds.STYLE_LOSSES[case.get("style_loss", "gram")]
    if tile and not kind.additive:
        pytest.skip("it works on whole pictures only")
    chosen = {"precision": precision, "tile": tile}
    if "+" in kind.layers:
        chosen["style_layers"] = ("+".join(toys.LAYERS[:2]),)
    if kind.beside:
        chosen["neighbors_layers"] = toys.LAYERS[1]
    draft = pretend.draft(toy, size=64, levels=1, steps=2, **chosen | case)
    runner.start_run(draft).execute()
    assert built
    allowed = READS_HOST if "content_target" in case else set()
    for graph in built:
        assert _list_missing(graph) <= allowed


def test_an_operation_without_a_kernel_is_found():
    @tf.function
    def step(x):
        return tf.numpy_function(lambda y: y, [x], tf.float32)

    graph = step.get_concrete_function(tf.TensorSpec([3])).graph
    assert _list_missing(graph.as_graph_def()) == {"PyFunc of "}
