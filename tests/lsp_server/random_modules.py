"""Random Python modules, for property tests: all of their names differ."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

#: Lines that are one statement, wherever they are; a "#" stands for the space before them.
STATEMENTS = [
    "x = 1",
    "x = (1,\n  2)",
    "x = [\n'def test_no(): pass',\n]",
    'x = """\n#    def test_no(): pass\n#    class TestNo: pass\n"""',
    'x = """\ndef test_no(): pass\n"""',
    '"""A string (with a bracket."""',
    "'It isn\\'t: #'",
    "x = 'a' \\\n  'b'",
    "# def test_no(): pass",
    "x = {'(': ')'}  # (",
    "",
    "pass; x = ']'",
    'assert f\'{x}{{\' and f"""{\nx}"""',
    r"x = rb'\''",
    "x = lambda: (yield)",
]
DECORATORS = ["@mark", "@mark.x(1)", "@mark(\n'def test_no():',\n)", "@pytest.fixture"]


@st.composite
def blocks(draw: st.DrawFn, numbers: Iterator[int], depth: int, space: str) -> list[str]:
    """The lines of a block."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["statement", "def", "class", "if"]))
        inside = space + draw(st.sampled_from(["  ", "    ", "\t"]))
        if kind == "statement" or depth == 3:
            statement = draw(st.sampled_from(STATEMENTS)).replace("#    ", f"#{space}    ")
            lines.append(space + statement.replace("\n#", "\n"))
            continue
        body = draw(blocks(numbers, depth + 1, inside))
        number = next(numbers)
        if kind == "if":
            head = draw(st.sampled_from(["if x:", "for x in (1,\n2):", "try:", "with x:"]))
            end = [f"{space}finally: pass"] if head == "try:" else []
            lines += [space + head, *body, f"{inside}pass", *end]
            continue
        name = draw(st.sampled_from(["test_", "Test", "helper_"])) + str(number)
        for decorator in draw(st.lists(st.sampled_from(DECORATORS), max_size=2)):
            lines.append(space + decorator)
        if kind == "def":
            head = draw(st.sampled_from(["def {}():", "async def {}(a, b=(\n1)):"]))
        else:
            head = draw(st.sampled_from(["class {}:", "class {}(x.TestCase, metaclass=y):"]))
        lines += [space + head.format(name), *body, f"{inside}pass"]
    return lines


@st.composite
def modules(draw: st.DrawFn) -> str:
    numbers = iter(range(10_000))
    return "\n".join(draw(blocks(numbers, 0, ""))) + draw(st.sampled_from(["", "\n", "\n\n# x"]))
