"""Reads the losses that a caller adds to those of a plan."""

import dataclasses
from collections.abc import Callable, Sequence

from nst_tf import errors
from nst_tf.losses import protocol
from nst_tf.network import architectures
from nst_tf.plan import planning

# (height, width) -> losses of an image of that size.
ExtraLosses = Callable[[int, int], Sequence[protocol.Loss]]


def read(
    extra_losses: ExtraLosses, height: int, width: int
) -> list[protocol.Loss]:
    """Calls the caller's function for extra losses.

    Raises:
        TypeError: If it does not return a list.
    """
    made = extra_losses(height, width)
    kind = "a list of losses"
    errors.check_type("the result of extra_losses", made, (list, tuple), kind)
    return [*made]


def add_layers(
    plan: planning.Plan, loss_list: Sequence[protocol.Loss]
) -> planning.Plan:
    """Adds the layers of extra losses to those that the network returns.

    Raises:
        ValueError: If the network lacks one of them.
    """
    layers = [each.layer for each in loss_list if each.layer != "image"]
    for loss in loss_list:
        try:
            architectures.check_layers(
                plan.network.name, {loss.layer} - {"image"}
            )
        except ValueError as error:
            raise ValueError(f"the loss {loss.name!r}: {error}") from error
    return dataclasses.replace(
        plan,
        layers=[*plan.layers, *layers],
        extra_layers=[*plan.extra_layers, *layers],
    )
