"""How long a batch will take, from a few steps of its first picture."""

from collections.abc import Mapping, Sequence

from nst_tf.batch import groups, tasks
from nst_tf.plan import inputs, planning
from nst_tf.runs import runner

STARTING = 6.0  # seconds, to import and to read, once


def estimate_seconds(
    todo: Mapping[groups.Group, Sequence[tasks.Task]],
    networks: groups.Networks,
) -> float:
    """Estimates the time of all pictures in one process.

    The first picture of the largest group is timed; that of the others is in
    proportion to their work.

    Args:
        todo: What there is to paint.
        networks: Where the network's weights come from.
    """
    group = max(todo, key=lambda each: each.work * len(todo[each]))
    job = todo[group][0].make_job()
    read = inputs.read_inputs(job)
    read = read._replace(network=networks.find(job))
    draft = planning.draft_plan(job, read)
    plan = planning.fit_plan(draft, runner.measure_machine())
    seconds = runner.estimate_seconds(plan)
    work = sum(each.work * len(todo[each]) for each in todo)
    return STARTING + seconds * work / group.work
