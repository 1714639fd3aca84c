"""Native programs, each granted by name under `[request.process]`. No shell sees them."""

from __future__ import annotations

import dataclasses

from . import host


@dataclasses.dataclass(frozen=True)
class Command:
    """What to run."""

    #: A name without folder, such as `git`.
    program: str
    #: Passed as they are.
    arguments: list[str]
    #: Beside PATH, HOME, LANG and TMPDIR.
    env: dict[str, str]
    #: Relative to the workspace; none is the workspace.
    cwd: str | None
    #: What the program reads.
    stdin: bytes | None
    #: Then the program is ended, with all that it started.
    timeout_ms: int
    #: Kept of each stream: the first and the last half of this many, at most 16 MiB.
    max_output_bytes: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    #: None when a signal or the timeout ended it.
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    #: Whether the middle of a stream is left out.
    truncated: bool
    timed_out: bool
    #: Where the output was kept when truncated, relative to the workspace.
    spill: str | None


def run(
    program: str,
    *arguments: str,
    env: dict[str, str] | None = None,
    cwd: str | None = None,
    stdin: bytes | None = None,
    timeout_ms: int = 60_000,
    max_output_bytes: int = 64 << 10,
) -> Outcome:
    """Runs a program to its end. Raises `Denied` where the grant or the person who is asked says no."""
    command = Command(program, list(arguments), env or {}, cwd, stdin, timeout_ms, max_output_bytes)
    return host.current().run(command)
