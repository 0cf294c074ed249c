"""The loop over levels: memory that does not suffice, sizes, what is asked."""

import pytest
import tensorflow as tf
import toys

from nst_tf.backend import canvas
from nst_tf.optimize import descent, first_order
from nst_tf.plan import pyramid


def _exhausted_error():
    return tf.errors.ResourceExhaustedError(None, None, "out of memory")


def _descend(make_objective_at, levels=None, **options):
    return descent.descend(
        make_objective_at,
        lambda image, level: first_order.Adam(canvas.make(image, *level.size)),
        levels or [pyramid.Level(4, 5, 2)],
        tf.constant(toys.image(4, 5, 2)[None]),
        **options,
    )


def test_where_memory_does_not_suffice_the_objective_is_made_with_less():
    asked, made = [], []

    def make(height, width):
        made.append((height, width))
        if len(made) < 3:
            raise _exhausted_error()
        return toys.bowl(toys.image(4, 5, 1)[None])

    def recover(error, height, width):
        assert isinstance(error, tf.errors.ResourceExhaustedError)
        asked.append((height, width))
        return True

    steps = list(_descend(make, recover=recover))
    assert [step.index for step in steps] == [1, 2]
    assert asked == [(4, 5)] * 2
    assert made == [(4, 5)] * 3


@pytest.mark.parametrize("asks", [False, True])
def test_where_there_is_nothing_less_the_error_is_raised(asks):
    options = {"recover": lambda *_: False} if asks else {}

    def make(height, width):
        raise _exhausted_error()

    with pytest.raises(tf.errors.ResourceExhaustedError):
        next(_descend(make, **options))


def test_a_step_is_asked_for_between_steps_and_before_a_level():
    asked = []

    def should_continue(level, step):
        asked.append((level, step and step.index))
        return level != 1

    levels = [pyramid.Level(4, 5, 2), *[pyramid.Level(8, 10, 1)] * 2]
    steps = _descend(
        lambda height, width: toys.bowl(toys.image(height, width, 1)[None]),
        levels,
        should_continue=should_continue,
    )
    assert [(step.level, step.index) for step in steps] == [
        (0, 1),
        (0, 2),
        (2, 1),
    ]
    assert asked == [(0, None), (0, 1), (1, None), (2, None)]
