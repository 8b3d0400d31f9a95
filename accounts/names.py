"""Words that people give themselves or their files, made safe to show beside others' words."""

import unicodedata

# Categories of Unicode: controls, invisible ones such as those that turn the writing round, halves of pairs, and the
# separators of lines and paragraphs, which a log or a header would take for an end of line.
_HIDDEN = ("C", "Zl", "Zp")


def one_line(words: str) -> str:
    """The same words on one line, without what cannot be seen; composed, with single spaces between them."""
    kept = "".join(" " if is_hidden(letter) else letter for letter in unicodedata.normalize("NFC", words))
    return " ".join(kept.split())


def is_plain(words: str) -> bool:
    """Whether there is nothing in it that cannot be seen."""
    return not any(is_hidden(letter) for letter in words)


def is_hidden(letter: str) -> bool:
    """Whether the character cannot be seen, or ends or turns round a line."""
    return unicodedata.category(letter).startswith(_HIDDEN)
