import ast
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from build import in_words, kinds_of, taken, world  # noqa: E402


class Building(unittest.TestCase):
    def test_what_a_plugin_takes_tells_its_kind(self):
        for source, names in [
            ("from ml_intern import tool, fetch", {"tool", "fetch"}),
            ("import ml_intern\n\n@ml_intern.tool\ndef a(): ...", {"tool"}),
            ("import ml_intern as m, json\n\nclass A(m.Provider): ...", {"Provider"}),
            ("import json\njson.tool", set()),
        ]:
            with self.subTest(source):
                self.assertEqual(taken(ast.parse(source)), names)

    def test_all_modules_count_and_tests_do_not(self):
        with tempfile.TemporaryDirectory() as folder:
            write = lambda name, text: (Path(folder) / name).write_text(text)
            self.assertRaisesRegex(SystemExit, "no `plugin.py`", kinds_of, Path(folder))
            write("plugin.py", "import more")
            write("test_plugin.py", "from ml_intern import Notifier")
            self.assertRaisesRegex(SystemExit, "nothing to export", kinds_of, Path(folder))
            write("more.py", "from ml_intern import Provider, tool")
            self.assertEqual(kinds_of(Path(folder)), ["tool", "provider"])
            write("more.py", "x = = 1")
            self.assertRaisesRegex(SystemExit, "more.py: invalid syntax", kinds_of, Path(folder))

    def test_the_network_is_imported_where_it_is_requested(self):
        versions = {"ml-intern:plugin": "0.2.0", "wasi:http": "0.2.12"}
        self.assertIn("import wasi:http/outgoing-handler@0.2.12;", world(["tool"], True, versions))
        self.assertNotIn("wasi", world(["tool", "notifier"], False, versions))

    def test_an_error_is_told_in_the_plugins_terms(self):
        told = (
            'Traceback (most recent call last):\n  File "/0/entry.py", line 1, in <module>\n    import plugin\n'
            '  File "/1/plugin.py", line 3, in <module>\n    @tool\n     ^^^^\n'
            '  File "/2/ml_intern/tools.py", line 9, in tool\n    raise TypeError(x)\nTypeError: x\n\n\nCaused by:\n    TypeError: x\n'
        )
        words = in_words(told, [Path("/work"), Path("/home/me/a"), Path("/home/me/a/sdk")])
        frame = '  File "/home/me/a/plugin.py", line 3, in <module>\n    @tool\n     ^^^^\n'
        self.assertEqual(words, f"Traceback (most recent call last):\n{frame}TypeError: x")


if __name__ == "__main__":
    unittest.main()
