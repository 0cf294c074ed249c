"""Ray without a cluster: actors of this process, and answers at once.

`Ray` takes the place of the module; a test decides what actors answer.
"""

import types


class RayError(Exception):
    """What Ray raises; of a task that failed, with its cause."""

    def __init__(self, words="", cause=None):
        super().__init__(words)
        self.cause = cause


def _make_kinds(*names):
    return {name: type(name, (RayError,), {}) for name in names}


class Reference:
    """What an actor answers: a value, or an error to raise."""

    def __init__(self, value):
        self.value = value


class Ray:
    """The functions of Ray that batches use.

    Attributes:
        inits: What clusters were connected with.
        actors: All that were started, in order.
        killed: Those that were killed.
        stored: What was put into the object store.
        timeouts: Of each wait, and of each `get` that has one.
    """

    exceptions = types.SimpleNamespace(
        **_make_kinds(
            *("RayTaskError", "RayActorError"),
            *("OutOfMemoryError", "ObjectLostError"),
        )
    )

    def __init__(self, *resources, dead=()):
        self._nodes = [{"Alive": True, "Resources": r} for r in resources]
        self._nodes += [{"Alive": False, "Resources": r} for r in dead]
        self.inits, self.actors, self.killed = [], [], []
        self.stored, self.timeouts = [], []
        self.is_up, self.failure = False, None

    def is_initialized(self):
        return self.is_up

    def init(self, **options):
        self.inits.append(options)
        if self.failure:
            raise self.failure
        self.is_up = True

    def shutdown(self):
        self.is_up = False

    def nodes(self):
        return self._nodes

    def put(self, value):
        self.stored.append(value)
        return Reference(value)

    def get(self, reference, timeout=None):
        if timeout is not None:
            self.timeouts.append(timeout)
        if isinstance(reference.value, Exception):
            raise reference.value
        return reference.value

    def wait(self, references, timeout):
        self.timeouts.append(timeout)
        return references[:1], references[1:]

    def kill(self, actor):
        self.killed.append(actor)

    def remote(self, kind):
        return _Remote(self, kind)


class _Remote:
    """A class of actors, with the options of the next one."""

    def __init__(self, ray, kind, options=None):
        self._ray, self._kind, self._options = ray, kind, options

    def options(self, **options):
        return _Remote(self._ray, self._kind, options)

    def remote(self, *arguments):
        actor = Actor(self._kind(*arguments), self._options)
        self._ray.actors.append(actor)
        return actor


class Actor:
    """A handle: methods are called by `remote`, and return references."""

    def __init__(self, own, options):
        self.own, self.options = own, options

    def __getattr__(self, name):
        method = getattr(self.own, name)

        def call(*arguments):
            try:
                return Reference(method(*arguments))
            except RayError as error:
                return Reference(error)

        return types.SimpleNamespace(remote=call)
