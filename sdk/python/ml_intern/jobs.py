"""Training and other long compute that the host owns. A job outlives the call that submitted it.

Everything here raises `Denied` outside `[request.jobs]`, `NotFound` for jobs of other sessions and
`Unsupported` for what the back end cannot do."""

from __future__ import annotations

import dataclasses
import enum

from . import host


@dataclasses.dataclass(frozen=True)
class Script:
    """A single-file Python script; its own PEP 723 metadata is honoured."""

    #: At most 4 MiB.
    source: str
    arguments: list[str] = dataclasses.field(default_factory=list)
    #: Requirements as pip writes them, beside those in the script.
    dependencies: list[str] = dataclasses.field(default_factory=list)
    #: Version, such as `3.12`.
    python: str | None = None


@dataclasses.dataclass(frozen=True)
class Container:
    """A container and what to run in it."""

    image: str
    command: list[str]


@dataclasses.dataclass(frozen=True)
class Mount:
    """A dataset, model or bucket that the back end mounts."""

    source: str
    path: str
    writable: bool = False


@dataclasses.dataclass(frozen=True)
class Spec:
    """What to run, where and for how long."""

    workload: Script | Container
    #: From the start of the work, 1 s to 30 days.
    timeout_seconds: int
    name: str | None = None
    #: Hardware, such as `a10g-small`; none is the back end's default.
    flavor: str | None = None
    #: Never secrets.
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    #: Names of credentials that the host places in the job's environment.
    credentials: list[str] = dataclasses.field(default_factory=list)
    mounts: list[Mount] = dataclasses.field(default_factory=list)
    #: Five-field cron expression.
    schedule: str | None = None
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    #: The same key submits once, also after a crash.
    idempotency_key: str | None = None


class State(enum.Enum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"
    SCHEDULED = "scheduled"
    SUSPENDED = "suspended"

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED, State.TIMED_OUT)


@dataclasses.dataclass(frozen=True)
class Job:
    """A job as it stands now. Times are milliseconds since 1970."""

    id: str
    state: State
    message: str | None
    flavor: str | None
    url: str | None
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    cost_usd: float | None


@dataclasses.dataclass(frozen=True)
class LogLine:
    """One line of a job's output. `cursor` rises from 1."""

    cursor: int
    at_ms: int
    text: str


@dataclasses.dataclass(frozen=True)
class Flavor:
    """One kind of hardware."""

    name: str
    title: str
    cpus: int
    memory_mib: int
    accelerator: str | None
    accelerators: int
    accelerator_memory_mib: int
    hourly_usd: float | None


def flavors() -> list[Flavor]:
    """The hardware on offer, granted or not."""
    return host.current().jobs("flavors")


def submit(spec: Spec) -> Job:
    """Submits a job, or finds the one that was submitted with the same key."""
    return host.current().jobs("submit", spec)


def get(job: str) -> Job:
    """The job of this id."""
    return host.current().jobs("get", job)


def list_jobs(limit: int = 100) -> list[Job]:
    """Jobs of this session, newest first."""
    return host.current().jobs("list", limit)


def logs(job: str, after: int = 0, limit: int = 1000, wait_ms: int = 0) -> list[LogLine]:
    """Lines after a cursor; waits up to `wait_ms` for the first."""
    return host.current().jobs("logs", job, after, limit, wait_ms)


def wait(job: str, timeout_ms: int) -> Job:
    """Returns when the job ends or the time is over."""
    return host.current().jobs("wait", job, timeout_ms)


def cancel(job: str) -> Job:
    """Ends a job, with all that it started."""
    return host.current().jobs("cancel", job)


def suspend(job: str) -> Job:
    """Lets a running job stand still."""
    return host.current().jobs("suspend", job)


def resume(job: str) -> Job:
    """Lets a suspended job go on."""
    return host.current().jobs("resume", job)
