"""Colours of tokens.css that meet on a page can be told apart (WCAG 2.2, 1.4.3 and 1.4.11), in light and in dark."""

import re
from pathlib import Path

import pytest
from django.conf import settings

TOKENS = (Path(settings.BASE_DIR) / "static/css/tokens.css").read_text(encoding="utf-8")
COLOURS = {
    name: pair
    for name, *pair in re.findall(r"--color-([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", TOKENS)
}
SCHEMES = {"light": 0, "dark": 1}
GROUNDS = ("page", "surface", "sunken")

# Text on its ground: 4.5 to 1.
TEXT = [
    *[(text, ground) for text in ("text", "muted", "link", "link-hover") for ground in GROUNDS],
    *[(text, "accent-soft") for text in ("text", "link", "link-hover", "muted")],
    *[("on-accent", ground) for ground in ("accent", "accent-hover")],
    *[("on-danger", ground) for ground in ("danger", "danger-hover")],
    *[("danger", ground) for ground in ("page", "surface")],
    *[("error", ground) for ground in GROUNDS],
    *[(verdict, ground) for verdict in ("real", "fake", "undecided") for ground in (*GROUNDS, f"{verdict}-soft")],
    *[(kind, f"{kind}-soft") for kind in ("info", "success", "warning", "error")],
    *[("text", f"{kind}-soft") for kind in ("info", "success", "warning", "error", "real", "fake", "undecided")],
    *[("link", f"{kind}-soft") for kind in ("info", "success", "warning", "error")],
    ("error", "error-soft"),
    ("surface", "real"),  # the labels of the sketch on the front page
    ("surface", "fake"),
]
# What must be seen to use a control or to read a drawing: 3 to 1.
SHAPES = [
    *[("edge", ground) for ground in GROUNDS],
    *[("focus", ground) for ground in (*GROUNDS, "accent-soft")],
    *[("accent", ground) for ground in GROUNDS],
    *[(shape, ground) for shape in ("real", "fake", "undecided") for ground in GROUNDS],
]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""

    def linear(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[start : start + 2], 16)) for start in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_agrees_with_known_pairs() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_every_colour_token_has_a_light_and_a_dark_value() -> None:
    declared = set(re.findall(r"^  --color-([a-z-]+): light-dark", TOKENS, re.MULTILINE))

    assert declared == set(COLOURS)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("text", "ground"), TEXT)
def test_text_stands_out_from_its_ground(text: str, ground: str, scheme: str) -> None:
    index = SCHEMES[scheme]

    assert contrast(COLOURS[text][index], COLOURS[ground][index]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("shape", "ground"), SHAPES)
def test_shapes_stand_out_from_their_ground(shape: str, ground: str, scheme: str) -> None:
    index = SCHEMES[scheme]

    assert contrast(COLOURS[shape][index], COLOURS[ground][index]) >= 3.0


def test_all_styles_use_tokens_that_exist() -> None:
    """A misspelt token is silently no colour at all."""
    declared = set(re.findall(r"^  (--[a-z0-9-]+):", TOKENS, re.MULTILINE))
    for path in (Path(settings.BASE_DIR) / "static/css").glob("*.css"):
        text = path.read_text(encoding="utf-8")
        own = set(re.findall(r"^\s+(--[a-z0-9-]+):", text, re.MULTILINE))
        assert set(re.findall(r"var\((--[a-z0-9-]+)", text)) - own <= declared, path.name
