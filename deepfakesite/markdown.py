"""Markdown of the model cards as HTML: no raw HTML comes through, and headings sit below the page's own."""

from functools import lru_cache

from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.token import Token

_LOWEST_HEADING = 6


@lru_cache(maxsize=16)
def to_html(text: str) -> SafeString:
    """The text as HTML. Tags in it are shown as text, links to scripts are left out, pictures are not loaded."""
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")
    tokens = parser.parse(text)
    tokens = _without_title(tokens)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(max(int(token.tag[1]), 2), _LOWEST_HEADING)}"
        if token.type == "th_open":
            token.attrSet("scope", "col")
        token.attrs.pop("style", None)  # the alignment of table cells, which the content policy would drop anyway
    return SafeString(parser.renderer.render(tokens, parser.options, {}))  # made by the parser, with raw HTML off


def _without_title(tokens: list[Token]) -> list[Token]:
    """A card begins with its own title; the page has one already."""
    if len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return tokens[3:]
    return tokens
