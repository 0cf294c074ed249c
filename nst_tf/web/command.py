"""The program: reads flags, makes the folder, and serves until Ctrl-C."""

import argparse
import contextlib
import ipaddress
import os
import secrets
import socket
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from nst_tf import files, terminal

MOST_CONNECTIONS = 300
IDLE_SECONDS = 20.0  # that a connection may take to begin a request


class _Parser(argparse.ArgumentParser):
    """A parser that raises ValueError instead of exiting."""

    def error(self, message: str) -> NoReturn:
        """Raises ValueError for an invalid command line."""
        raise ValueError(f"{message}; --help lists the options.")


def main(arguments: Sequence[str]) -> int:
    """Serves the studio until it is interrupted.

    Args:
        arguments: The command line, without the program's name.

    Returns:
        The exit status: 0 after Ctrl-C, 1 for wrong input.
    """
    with terminal.print_notes():
        try:
            given = _make_parser().parse_args(arguments)
            for module in ("fastapi", "uvicorn"):
                files.require_extra(module, "web", "python -m nst_tf.web")
            return _serve(given)
        except (ValueError, OSError) as error:
            terminal.print_error(str(error))
            return 1


def format_usage() -> str:
    """Formats the text of --help."""
    return _make_parser().format_help()


def _make_parser() -> argparse.ArgumentParser:
    """Makes the parser of the command line."""
    parser = _Parser(
        "python -m nst_tf.web",
        description="A studio in the browser, on this machine.",
        allow_abbrev=False,
    )
    home = files.find_home() or Path()
    add = parser.add_argument
    add("--port", type=int, default=8000, help="0: any free one (%(default)s)")
    add("--open", action="store_true", help="open the page in a browser")
    add(
        "--folder",
        default=os.environ.get("XDG_DATA_HOME") or home / ".local" / "share",
        type=lambda text: Path(os.path.expanduser(text)),
        help="where pictures and the queue are kept, in nst_tf-studio "
        "(%(default)s)",
    )
    add(
        "--disk",
        type=float,
        default=5.0,
        help="GB that the folder may hold (%(default)s)",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="address to serve; any but a loopback one needs the token that "
        "is printed (%(default)s)",
    )
    add(
        "--allow_host",
        action="append",
        default=[],
        metavar="NAME",
        help="one more name of this host, as a proxy gives it; needs the token",
    )
    return parser


def _serve(given: argparse.Namespace) -> int:
    """Opens the port and the folder, and serves."""
    import uvicorn
    from uvicorn.protocols.http import h11_impl

    from nst_tf.web import guard, routes, storage, work_queue

    if not given.disk > 0:
        raise ValueError(f"--disk is {given.disk}, expected more than 0 GB.")
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
            kept = storage.Storage(
                given.folder / "nst_tf-studio", given.disk * 1e9
            )
        except BlockingIOError:
            raise ValueError(
                f"another server has {given.folder}; end it, or name another "
                f"folder with --folder."
            ) from None
        application = routes.make_application(work_queue.Studio(kept))
        access = guard.Access(frozenset(names), is_public, token)

        class Protocol(h11_impl.H11Protocol):
            """Closes a connection that does not come to a request."""

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
            address, "Ctrl-C ends it; an unfinished picture goes on next time."
        )
        if given.open:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    return 0


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
