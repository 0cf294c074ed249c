"""Runs the program nst-tf-web: serves the studio until Ctrl-C."""

import contextlib
import dataclasses
import ipaddress
import os
import secrets
import socket
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from nst_tf import files, terminal
from nst_tf.cli import programs

MOST_CONNECTIONS = 300
IDLE_SECONDS = 20.0  # limit for a connection without a request


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags."""

    port: int = programs.flag(
        8000, "Port; 0 takes any free one.", low=0, high=65535
    )
    open: bool = programs.flag(False, "Open the page in a browser.")
    folder: str = programs.flag(
        "",
        "Where pictures and the queue are kept, in nst_tf-studio. Default: "
        "$XDG_DATA_HOME, or ~/.local/share. One server uses a folder at a "
        "time.",
        path="folder",
    )
    disk: float = programs.flag(
        5.0,
        "GB that the folder may hold; a full one deletes its oldest pictures.",
        above=0,
    )
    host: str = programs.flag(
        "127.0.0.1",
        "Address to serve, such as 0.0.0.0 for your network. Any but a "
        "loopback one needs the token that is printed.",
    )
    allow_host: tuple[str, ...] = programs.flag(
        (),
        "One more name of this host, as a proxy gives it; needs the token. "
        "Repeat for several.",
    )


PROGRAM = programs.Program(
    "nst-tf-web",
    Options,
    """\
A studio in the browser, on this machine.

  nst-tf-web --open

python -m nst_tf.web is the same as nst-tf-web. docs/web.md is the guide.
""",
    "Exit status: 0 after Ctrl-C; 1 invalid input.",
)


def main(arguments: Sequence[str]) -> int:
    """Serves the studio until it is interrupted.

    Args:
        arguments: The command line, without the program's name.

    Returns:
        The exit status: 0 after Ctrl-C, 1 for wrong input.
    """
    with terminal.print_notes():
        try:
            if programs.answer(PROGRAM, arguments):
                return 0
            request = programs.read(PROGRAM, arguments)
            if request.words:
                raise ValueError(
                    f"unexpected argument {request.words[0]!r}; --help lists "
                    f"all flags."
                )
            for module in ("fastapi", "uvicorn"):
                files.require_extra(module, "web", "python -m nst_tf.web")
            return _serve(request.options)
        except (ValueError, OSError) as error:
            terminal.print_error(str(error))
            return 1


def _serve(given: Options) -> int:
    """Opens the port and the folder, and serves."""
    import uvicorn
    from uvicorn.protocols.http import h11_impl

    from nst_tf.web import guard, routes, storage, work_queue

    folder = _find_folder(given.folder)
    is_public = not _is_loopback(given.host)
    token = secrets.token_urlsafe(24) if is_public or given.allow_host else ""
    with _open_port(given.host, given.port) as listener:
        port = listener.getsockname()[1]
        host = given.host if not is_public else socket.gethostname()
        if ":" in host:
            host = f"[{host}]"
        address = f"http://{host}:{port}/" + (
            f"?token={token}" if token else ""
        )
        names = {each.lower() for each in given.allow_host}
        if is_public:
            names |= {given.host.lower(), socket.gethostname().lower()}
        try:
            kept = storage.Storage(folder / "nst_tf-studio", given.disk * 1e9)
        except BlockingIOError:
            raise ValueError(
                f"another server uses {folder}; stop it, or name another "
                f"folder with --folder."
            ) from None
        application = routes.make_application(work_queue.Studio(kept))
        access = guard.Access(frozenset(names), is_public, token)

        class Protocol(h11_impl.H11Protocol):
            """Closes connections that do not complete a request."""

            def connection_made(self, transport: object) -> None:
                super().connection_made(transport)
                self.loop.call_later(IDLE_SECONDS, self._check, 0)

            def _check(self, idle: int) -> None:
                is_idle = self.cycle is None or self.cycle.response_complete
                if self.transport.is_closing():
                    return
                if is_idle and idle:
                    self.transport.abort()
                    return
                self.loop.call_later(IDLE_SECONDS, self._check, int(is_idle))

        config = uvicorn.Config(
            guard.Guard(application, access, f"nst_tf_{port}"),
            http=Protocol,
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=2,
        )
        terminal.print_note(
            address,
            "Ctrl-C stops the studio; the next start resumes its picture.",
        )
        if given.open:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    return 0


def _find_folder(name: str) -> Path:
    """Returns the folder that a user names, or the default one."""
    home = files.find_home() or Path()
    default = os.environ.get("XDG_DATA_HOME") or home / ".local" / "share"
    return Path(os.path.expanduser(name or default))


def _open_port(host: str, port: int) -> socket.socket:
    """Opens the port.

    Raises:
        ValueError: If it is taken, or there is no such address.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"port {port} of {host} cannot be opened: {reason}; name another "
            f"with --port, or 0 for any."
        ) from None


def _is_loopback(host: str) -> bool:
    """Returns whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
