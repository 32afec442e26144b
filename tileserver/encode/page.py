"""Results as pages for whoever opens a file's address in a browser: text in them is escaped, and nothing runs."""

import base64
from html import escape
from typing import Final

_STYLE: Final = (
    "body{margin:1rem;font:14px/1.5 system-ui,sans-serif;color-scheme:light dark}"
    "table{border-collapse:collapse}th,td{padding:.2rem .6rem;border:1px solid #8886;text-align:left}"
    "img{max-width:100%;image-rendering:pixelated}pre{white-space:pre-wrap;overflow-wrap:anywhere}"
)


def page(content: str) -> bytes:
    """A page with this content, which is HTML already."""
    text = f'<!doctype html>\n<meta charset="utf-8">\n<style>{_STYLE}</style>\n{content}\n'
    return text.encode("utf-8", "replace")


def picture(png: bytes) -> bytes:
    """A page with a picture."""
    return page(f'<img alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}">')


def text(plain: str) -> bytes:
    """A page with text as it is."""
    return page(f"<pre>{escape(plain)}</pre>")
