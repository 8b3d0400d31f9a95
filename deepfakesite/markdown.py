"""Markdown of the model cards as HTML: no raw HTML comes through, and headings sit below the page's own."""

from collections.abc import Sequence
from functools import lru_cache

from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from markdown_it import MarkdownIt
from markdown_it.token import Token

_LOWEST_HEADING = 6


@lru_cache(maxsize=16)
def to_html(text: str) -> SafeString:
    """The text as HTML. Tags in it are shown as text, links to scripts are left out, pictures are not loaded."""
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")
    tokens = _without_title(parser.parse(text))
    heading = ""
    for before, token in zip([None, *tokens], tokens, strict=False):
        if before is not None and before.type == "heading_open":
            heading = token.content
        if token.type == "table_open":
            token.meta["heading"] = heading
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(max(int(token.tag[1]), 2), _LOWEST_HEADING)}"
        if token.type == "th_open":
            token.attrSet("scope", "col")
        token.attrs.pop("style", None)  # the alignment of table cells, which the content policy would drop anyway
    parser.add_render_rule("table_open", _open_table)
    parser.add_render_rule("table_close", _close_table)
    return SafeString(parser.renderer.render(tokens, parser.options, {}))  # made by the parser, with raw HTML off


def _open_table(_renderer: object, tokens: Sequence[Token], index: int, _options: object, _env: object) -> str:
    """A wide table scrolls within a region of its own, which the keyboard reaches; its heading is its name."""
    name = escape(tokens[index].meta["heading"] or gettext("Table"))
    return f'<div class="table-scroll" role="region" tabindex="0" aria-label="{name}">\n<table>\n'


def _close_table(_renderer: object, _tokens: Sequence[Token], _index: int, _options: object, _env: object) -> str:
    return "</table>\n</div>\n"


def _without_title(tokens: list[Token]) -> list[Token]:
    """A card begins with its own title; the page has one already."""
    if len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return tokens[3:]
    return tokens
