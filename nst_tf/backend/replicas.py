"""Distributes one picture over several devices, of one or many machines.

Each device is a replica of a `tf.distribute.Strategy` with a copy of the
network, and the strategy sums their results. With several machines, listed in
`TF_CONFIG`, all processes take the same steps from the same state; the first
one writes files.
"""

import contextlib
import functools
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import tensorflow as tf

T = TypeVar("T")


@functools.cache
def make_strategy(devices: int) -> "tf.distribute.Strategy | None":
    """Makes the strategy of a run, before any computation.

    It waits for the other workers of `TF_CONFIG`. A process has a single
    strategy.

    Args:
        devices: Number of devices of this machine to use; 0: all.

    Returns:
        The strategy; None for a single device.

    Raises:
        ValueError: If there are fewer devices, or `TF_CONFIG` is invalid.
    """
    import tensorflow as tf

    if count_workers() > 1:
        gpus = tf.config.get_visible_devices("GPU")
        _check_number(devices, len(gpus) or 1)
        if devices and gpus:
            tf.config.set_visible_devices(gpus[:devices], "GPU")
        return tf.distribute.MultiWorkerMirroredStrategy()
    if devices == 1:
        return None
    names = [
        each.name
        for each in tf.config.list_logical_devices("GPU")
        or tf.config.list_logical_devices("CPU")
    ]
    _check_number(devices, len(names))
    chosen = names[: devices or None]
    return tf.distribute.MirroredStrategy(chosen) if chosen[1:] else None


def count_devices(strategy: "tf.distribute.Strategy | None") -> int:
    """Returns the number of devices, on all machines."""
    return strategy.num_replicas_in_sync if strategy else 1


def count_workers() -> int:
    """Returns the number of processes in `TF_CONFIG`; 1 without it."""
    return max(1, sum(len(tasks) for tasks in _list_workers().values()))


def is_writer() -> bool:
    """Returns whether this process writes files: the chief or first worker."""
    if count_workers() == 1:
        return True
    task = _read_config().get("task", {})
    first = "chief" if "chief" in _list_workers() else "worker"
    return (task.get("type"), int(task.get("index", 0))) == (first, 0)


def use_device_of(value: Any) -> Any:
    """Places operations on a value's device, so that only crops are copied."""
    import tensorflow as tf

    if tf.distribute.has_strategy():
        return tf.device(value.device)
    return contextlib.nullcontext()


def sum_over_replicas(
    strategy: "tf.distribute.Strategy | None", function: Callable[[int], Any]
) -> Any:
    """Calls a function on each replica, in a graph, and sums the results.

    Args:
        strategy: The strategy; None: a single replica.
        function: Index of a replica, over all machines -> tensors, in any
            structure.
    """
    import tensorflow as tf

    if strategy is None:
        return function(0)

    def replica(number: int) -> Any:
        # Values read from variables have no device; identity gives them one.
        found = tf.nest.map_structure(tf.identity, function(number))
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, found)

    return tf.nest.map_structure(
        lambda each: strategy.experimental_local_results(each)[0],
        strategy.run(replica, (_number_replicas(strategy),)),
    )


def give_each(
    strategy: "tf.distribute.Strategy | None",
    first: T,
    another: Callable[[], T],
) -> dict[int, T]:
    """Creates an object for each replica of this process.

    Args:
        strategy: The strategy; None: a single replica.
        first: The object of the first replica.
        another: Makes the objects of the others, on their devices.

    Returns:
        The objects, by the index of their replica over all machines.
    """
    import tensorflow as tf

    if strategy is None:
        return {0: first}
    found: dict[int, T] = {}
    numbers = strategy.experimental_local_results(_number_replicas(strategy))
    for number, device in zip(
        numbers, strategy.extended.worker_devices, strict=True
    ):
        with tf.device(device):
            found[number] = another() if found else first
    return found


def gather(
    strategy: "tf.distribute.Strategy", values: list[int]
) -> list[list[int]]:
    """Gathers the values of all processes, in the same order on each.

    All processes must call it, or they wait for each other.
    """
    import tensorflow as tf

    rows = strategy.gather(tf.constant([values], tf.int64), axis=0)
    return [[int(value) for value in row] for row in rows.numpy()]


def agree(strategy: "tf.distribute.Strategy", value: bool) -> bool:
    """Returns whether a value is true in all processes; all must call it."""
    import tensorflow as tf

    said = _compile_sum(strategy)(tf.constant(float(value)))
    return int(said) == count_devices(strategy)


@functools.cache
def _compile_sum(
    strategy: "tf.distribute.Strategy",
) -> "Callable[..., tf.Tensor]":
    """Compiles, once, the sum of a number over all replicas."""
    import tensorflow as tf

    return tf.function(
        lambda value: sum_over_replicas(strategy, lambda number: value),
        autograph=False,
    )


def _number_replicas(strategy: "tf.distribute.Strategy") -> Any:
    """Returns the index of each replica, for `strategy.run`."""
    import tensorflow as tf

    with tf.init_scope():
        return strategy.experimental_distribute_values_from_function(
            lambda context: context.replica_id_in_sync_group
        )


def _read_config() -> dict[str, Any]:
    """Parses the environment variable `TF_CONFIG`."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise ValueError(
            f"TF_CONFIG is {text!r}; expected a JSON object with a cluster and "
            "a task."
        )
    return config


def _list_workers() -> dict[str, list[str]]:
    """Returns the addresses of chief and workers, by kind."""
    cluster = _read_config().get("cluster", {})
    return {
        kind: cluster[kind] for kind in ("chief", "worker") if kind in cluster
    }


def _check_number(devices: int, there: int) -> None:
    """Raises ValueError if there are fewer devices."""
    if devices > there:
        raise ValueError(
            f"--devices is {devices}, but TensorFlow found {there}; use 0 for "
            "all of them."
        )
