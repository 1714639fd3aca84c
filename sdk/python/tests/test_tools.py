import dataclasses
import json
import unittest
from typing import Annotated

from ml_intern import (
    Cancelled,
    Context,
    Denied,
    Effects,
    Failed,
    File,
    InvalidInput,
    Json,
    NotFound,
    Output,
    Text,
    agent,
    config,
    credential_is_set,
    fetch,
    info,
    jobs,
    open_url,
    process,
    progress,
    project,
    session,
    show_text,
    tool,
)
from ml_intern import errors, tools
from ml_intern.testing import FakeHost, call


@dataclasses.dataclass
class Sum:
    total: int


@tool(read_only=True, title="Adds")
def add(first: Annotated[int, "The first."], second: int = 2, context: Context = None) -> Sum:
    """Adds two numbers."""
    return Sum(first + second)


@tool
def answer(kind: str) -> object:
    """Answers in every way."""
    if kind == "fail":
        raise Failed("try again")
    return {"text": "words", "none": None, "output": Output([Text("a"), File("b.txt")], True), "file": File("a"), "json": [1]}[kind]


class Tools(unittest.TestCase):
    def test_a_function_tells_the_host_what_it_is(self):
        made = tools.TOOLS["add"]
        self.assertEqual((made.title, made.description), ("Adds", "Adds two numbers."))
        self.assertEqual(made.effects, Effects(read_only=True, idempotent=True))
        schema = json.loads(made.schema())
        self.assertEqual(list(schema["properties"]), ["first", "second"])
        self.assertEqual(schema["required"], ["first"])
        self.assertEqual(json.loads(made.output_schema())["required"], ["total"])
        self.assertIsNone(tools.TOOLS["answer"].output_schema())

    def test_a_call_comes_as_json_and_leaves_as_content(self):
        self.assertEqual(call("add", first=1), Output([Json(Sum(3))]))
        self.assertEqual(tools.json_text(Sum(3)), '{"total":3}')
        self.assertEqual(call("answer", kind="text"), Output([Text("words")]))
        self.assertEqual(call("answer", kind="none"), Output([]))
        self.assertEqual(call("answer", kind="file"), Output([File("a")]))
        self.assertEqual(call("answer", kind="json"), Output([Json([1])]))
        self.assertTrue(call("answer", kind="output").is_error)
        self.assertRaises(Failed, call, "answer", kind="fail")

    def test_what_is_no_call_of_a_tool_is_said(self):
        self.assertRaisesRegex(NotFound, "unknown tool `x`", call, "x")
        self.assertRaisesRegex(InvalidInput, "first: missing", call, "add")
        self.assertRaisesRegex(InvalidInput, "no JSON", tools.TOOLS["add"].call, "{", None)

    def test_what_is_no_tool_is_refused_when_it_is_defined(self):
        def without_words(x: int) -> int: ...

        def without_type(x) -> int:
            """Words."""

        def with_rest(*rest: int) -> int:
            """Words."""

        for function in (without_words, without_type, with_rest):
            with self.subTest(function.__name__), self.assertRaises(TypeError):
                tool(function)
        with self.assertRaisesRegex(TypeError, "no argument `operation`"):
            tool(name="repo", operations=("operation", {"list": Effects(read_only=True)}))(answer)
        with self.assertRaisesRegex(TypeError, "two tools `add`"):
            tool(name="add")(answer)


class Host(unittest.TestCase):
    def test_without_a_host_nothing_happens_silently(self):
        with self.assertRaisesRegex(RuntimeError, "FakeHost"):
            config("a")

    def test_what_is_told_is_kept(self):
        with FakeHost() as host:
            info("hello", n=1)
            progress("half", 0.5)
            show_text("a")
        self.assertEqual(host.lines, [("info", "hello", {"n": 1})])
        self.assertEqual(host.reports, [("half", 0.5)])
        self.assertEqual(host.deltas, [("text", "a")])

    def test_a_call_that_was_stopped_ends_at_its_next_report(self):
        with FakeHost(stopped=True):
            self.assertRaises(Cancelled, progress, "half")
            self.assertFalse(show_text("a"))

    def test_state_lasts_in_its_bucket(self):
        with FakeHost() as host:
            self.assertEqual(session.get("n", 0), 0)
            session.set("n", {"a": 1})
            project.set_bytes("b", b"\0")
            self.assertEqual((session.get("n"), project.get_bytes("b"), session.keys()), ({"a": 1}, b"\0", ["n"]))
            session.delete("n")
            session.delete("n")
            self.assertEqual(host.buckets["session"], {})

    def test_what_is_not_prepared_is_denied(self):
        with FakeHost(config={"a": "b"}, credentials={"set": True}):
            self.assertEqual((config("a"), config("c")), ("b", None))
            self.assertTrue(credential_is_set("set"))
            self.assertRaises(Denied, credential_is_set, "other")
            self.assertRaises(Denied, fetch, "https://example.org")
            self.assertRaises(Denied, process.run, "git")
            self.assertRaises(Denied, jobs.list_jobs)
            self.assertRaises(Denied, agent.complete, "hello")

    def test_programs_jobs_and_agents_are_what_the_test_says(self):
        class Jobs:
            def submit(self, spec):
                return spec.workload.source

        with FakeHost(run=lambda command: command.arguments, jobs=Jobs()):
            self.assertEqual(process.run("git", "log"), ["log"])
            self.assertEqual(jobs.submit(jobs.Spec(jobs.Script("print()"), 60)), "print()")
        self.assertTrue(jobs.State.TIMED_OUT.final)
        self.assertFalse(jobs.State.QUEUED.final)


class Requests(unittest.TestCase):
    def test_a_body_has_its_headers(self):
        with FakeHost() as host:
            host.answer("POST", "https://example.org/a", status=201, headers={"x": "y"}, json_body={"ok": True})
            answer = fetch("https://example.org/a", method="POST", headers={"X-A": "b"}, json={"a": 1})
        self.assertEqual((answer.status, answer.ok, answer.headers, answer.json()), (201, True, {"x": "y"}, {"ok": True}))
        [request] = host.requests
        self.assertEqual(request.headers, {"x-a": "b", "content-type": "application/json", "content-length": "8"})
        self.assertEqual(request.body, b'{"a": 1}')

    def test_an_answer_is_read_as_it_comes(self):
        events = "data: one\n\ndata: two\ndata: three\r\n\n: remark\ndata:last"
        with FakeHost() as host:
            host.answer("GET", "https://example.org/", body=events)
            with open_url("https://example.org/") as answer:
                self.assertEqual(list(answer.events()), ["one", "two\nthree", "last"])

    def test_an_answer_is_bounded(self):
        with FakeHost() as host:
            host.answer("GET", "https://example.org/", body="x" * 11)
            self.assertRaisesRegex(errors.Limit, "over 10 bytes", fetch, "https://example.org/", max_bytes=10)

    def test_a_status_tells_whether_to_try_again(self):
        with FakeHost() as host:
            for status, again in [(404, False), (429, True), (503, True)]:
                host.answer("GET", "https://example.org/", status=status)
                with self.assertRaises(errors.Upstream) as raised:
                    fetch("https://example.org/").raise_for_status()
                self.assertEqual((raised.exception.status, raised.exception.retryable), (status, again))

    def test_what_is_no_url_is_said(self):
        for url in ("", "example.org", "ftp://example.org", "https://"):
            self.assertRaises(InvalidInput, fetch, url)


class Errors(unittest.TestCase):
    def test_exceptions_of_python_become_those_of_the_contract(self):
        for raised, wanted in [
            (FileNotFoundError("a"), NotFound),
            (PermissionError("a"), Denied),
            (FileExistsError("a"), errors.Conflict),
            (TimeoutError("a"), errors.Timeout),
            (OSError(28, "full"), errors.Limit),
            (OSError(30, "read-only"), Denied),
            (KeyError("a"), errors.Internal),
            (NotFound("a"), NotFound),
        ]:
            with self.subTest(raised):
                self.assertIsInstance(errors.of(raised), wanted)


if __name__ == "__main__":
    unittest.main()
