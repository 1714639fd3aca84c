import dataclasses
import enum
import unittest
from typing import Annotated, Any, Literal, Optional

from ml_intern import InvalidInput
from ml_intern.schema import parse, schema_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5


@dataclasses.dataclass
class Shape:
    name: Annotated[str, "For people."]
    points: list[Point]
    colour: Colour = Colour.RED
    tags: dict[str, int] = dataclasses.field(default_factory=dict)


class Schemas(unittest.TestCase):
    def test_every_type_has_its_words(self):
        for annotation, schema in [
            (str, {"type": "string"}),
            (bool, {"type": "boolean"}),
            (Any, {}),
            (list[int], {"type": "array", "items": {"type": "integer"}}),
            (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
            (Literal["a", 1], {"enum": ["a", 1]}),
            (Colour, {"enum": ["red", "blue"]}),
            (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
            (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
            (Annotated[int, "How many.", {"minimum": 1}], {"type": "integer", "description": "How many.", "minimum": 1}),
        ]:
            with self.subTest(annotation):
                self.assertEqual(schema_of(annotation), schema)

    def test_a_dataclass_is_an_object_without_other_members(self):
        point = {
            "type": "object",
            "properties": {"x": {"type": "integer"}, "y": {"type": "number", "default": 0.5}},
            "required": ["x"],
            "additionalProperties": False,
        }
        self.assertEqual(schema_of(Point), point)
        self.assertEqual(
            schema_of(Shape),
            {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "description": "For people."},
                    "points": {"type": "array", "items": point},
                    "colour": {"enum": ["red", "blue"]},
                    "tags": {"type": "object", "additionalProperties": {"type": "integer"}, "default": {}},
                },
                "required": ["name", "points"],
                "additionalProperties": False,
            },
        )

    def test_what_json_has_no_word_for_is_refused(self):
        for annotation in (set, bytes, dict[int, str], complex):
            with self.subTest(annotation), self.assertRaises(TypeError):
                schema_of(annotation)

    def test_a_type_that_holds_itself_is_refused(self):
        with self.assertRaisesRegex(TypeError, "itself"):
            schema_of(Tree)


@dataclasses.dataclass
class Tree:
    children: list["Tree"]


class Values(unittest.TestCase):
    def test_a_value_becomes_what_is_annotated(self):
        shape = parse(Shape, {"name": "a", "points": [{"x": 3.0}, {"x": 1, "y": 2}], "colour": "blue"}, "shape")
        self.assertEqual(shape, Shape("a", [Point(3, 0.5), Point(1, 2.0)], Colour.BLUE, {}))

    def test_an_error_names_the_place(self):
        for annotation, value, message in [
            (int, True, "x: expected an integer, found `True`"),
            (int, 1.5, "x: expected an integer, found `1.5`"),
            (str, None, "x: expected a string, found null"),
            (list[int], [1, "b"], r"x\[1\]: expected an integer, found `b`"),
            (dict[str, bool], {"a": 1}, "x.a: expected a boolean"),
            (Literal["a", "b"], "c", "x: expected one of `a`, `b`, found `c`"),
            (Colour, "green", "one of `red`, `blue`"),
            (Point, {}, "x.x: missing"),
            (Point, {"x": 1, "z": 1}, "x: unknown member `z`"),
            (int | None, "a", "x: expected an integer, found `a`"),
        ]:
            with self.subTest(message), self.assertRaisesRegex(InvalidInput, message):
                parse(annotation, value, "x")


if __name__ == "__main__":
    unittest.main()
