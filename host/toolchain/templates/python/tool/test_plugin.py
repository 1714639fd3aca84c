import unittest

from ml_intern import InvalidInput
from ml_intern.testing import FakeHost, call

import plugin


class Counting(unittest.TestCase):
    def test_blanks_of_any_number_separate_words(self):
        self.assertEqual(plugin.count("one  two\n three\n", 1), 3)
        self.assertEqual(plugin.count("one  two\n three\n", 4), 1)

    def test_arguments_are_checked(self):
        with FakeHost(), self.assertRaises(InvalidInput):
            call("{{ident}}", path=3)


if __name__ == "__main__":
    unittest.main()
