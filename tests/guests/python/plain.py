"""Plain functions in Python, made for no host in particular."""

import wit_world
from componentize_py_types import Err
from wit_world.exports.math import Stats


class WitWorld(wit_world.WitWorld):
    def evaluate(self, expression: str) -> str:
        try:
            return str(eval(expression))  # pylint: disable=eval-used
        except Exception as error:  # pylint: disable=broad-except
            raise Err(repr(error)) from error

    def read_text(self, path: str) -> str:
        try:
            with open(path) as opened:
                return opened.read()
        except OSError as error:
            raise Err(str(error)) from error


class Math(wit_world.exports.Math):
    def summary(self, numbers: list[float]) -> Stats:
        if not numbers:
            raise Err("no numbers")
        return Stats(sum(numbers) / len(numbers), len(numbers))
