"""What runs inside an SDK's environment: Python that comes as JSON lines is evaluated, and what came of it told.

As in a notebook: names stay, `await` works at the top, functions have a source that `inspect` finds. The SDK is as pip
installed it; where the server is it knows from the files in its home folder alone.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import json
import linecache
import os
import sys
import traceback
from pathlib import Path
from types import CodeType
from typing import Any

from values import described

START = """
import warnings
warnings.simplefilter("ignore")
import fused
"""
SIGN_IN = """
from fused.api import FusedAPI
api = FusedAPI()
"""
"""Without credentials this would open a browser and wait."""


class Notebook:
    """A namespace and its event loop."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)

    def answer(self, cell: str, source: str, names: dict[str, Any]) -> dict[str, Any]:
        """The description of the last expression's value, or of what was raised; and what was printed."""
        self.names.update(names)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                told = {"value": described(self.evaluate(cell, source))}
            except Exception as error:
                told = {"raised": raised(error)}
        return told | {"stdout": out.getvalue(), "stderr": err.getvalue()}

    def evaluate(self, cell: str, source: str) -> Any:
        """The value of the last expression; None where the last is a statement."""
        linecache.cache[cell] = (len(source), None, source.splitlines(keepends=True), cell)
        tree = ast.parse(source, cell)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self.run(compile(tree, cell, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
        if last is None:
            return None
        return self.run(compile(ast.Expression(last.value), cell, "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))

    def run(self, code: CodeType) -> Any:
        """The code's value, awaited where it awaits."""
        value = eval(code, self.names)
        return self.loop.run_until_complete(value) if code.co_flags & inspect.CO_COROUTINE else value


def raised(error: Exception) -> dict[str, Any]:
    """Class, text and bases of an exception."""
    return {
        "kind": type(error).__name__,
        "text": str(error),
        "bases": [base.__name__ for base in type(error).__mro__],
        "child": described(getattr(error, "child_exception_class", None)),
        "traceback": "".join(traceback.format_exception(error)),
    }


def main() -> None:
    """Answer every line of standard input; what anyone prints past Python's own streams goes to standard error."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    notebook = Notebook()
    notebook.evaluate("<start>", START)
    if Path("~/.fused/credentials").expanduser().exists():
        notebook.evaluate("<sign in>", SIGN_IN)
    for number, line in enumerate(sys.stdin):
        asked = json.loads(line)
        told = notebook.answer(f"<cell {number}>", asked["source"], asked["names"])
        replies.write(json.dumps(told) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
