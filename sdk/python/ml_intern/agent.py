"""What a tool may ask of the session that called it, where `[request.agent]` is granted."""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import Any

from . import host


class PlanStatus(enum.Enum):
    """How far an item of the plan is."""

    PENDING = "pending"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"


@dataclasses.dataclass(frozen=True)
class PlanItem:
    """One item of the plan; `id` is unique in it."""

    id: str
    content: str
    status: PlanStatus = PlanStatus.PENDING


@dataclasses.dataclass(frozen=True)
class Ask:
    """One question to the session's model."""

    system: str | None
    prompt: str
    max_tokens: int


@dataclasses.dataclass(frozen=True)
class Answer:
    """What another tool answered."""

    text: str
    is_error: bool


@dataclasses.dataclass(frozen=True)
class Task:
    """A task for an agent of its own."""

    instructions: str
    prompt: str
    #: Tools that it may call, each among the granted ones.
    tools: list[str]
    #: Model calls, 1 to 200.
    max_iterations: int
    #: None is what is left of the session's budget.
    budget_usd: float | None = None


@dataclasses.dataclass(frozen=True)
class Report:
    """How the agent ended; `stopped` says why it has no answer."""

    text: str
    iterations: int
    cost_usd: float | None
    stopped: str | None


def set_plan(items: list[PlanItem]) -> None:
    """Replaces the session's plan. Nobody denies it."""
    host.current().agent("set_plan", items)


def complete(prompt: str, *, system: str | None = None, max_tokens: int = 1024) -> str:
    """The answer of the session's model, whose cost counts against the session's budget."""
    return host.current().agent("complete", Ask(system, prompt, max_tokens))


def call_tool(name: str, arguments: dict[str, Any]) -> Answer:
    """Calls another tool of the session."""
    return host.current().agent("call_tool", name, json.dumps(arguments))


def run(task: Task) -> Report:
    """Runs a task to its end."""
    return host.current().agent("run", task)
