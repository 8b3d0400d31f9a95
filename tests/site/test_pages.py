"""The front page, the page about the method and the frame around every page, for each kind of visitor."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings as site
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from analysis.models import ModelVersion
from detector import release
from detector.errors import DetectorError, ErrorCode
from tests.analysis.builders import make_user

pytestmark = pytest.mark.django_db


def installed_model(card: str | OSError, version: str = "1.0.0") -> SimpleNamespace:
    """What the page needs of a detector.release.Release."""

    def read() -> str:
        if isinstance(card, OSError):
            raise card
        return card

    decision = SimpleNamespace(threshold_fake=0.85, threshold_real=0.125, min_face_px=48, min_frames=5)
    return SimpleNamespace(
        name="model", version=version, sha256=version * 8, config_sha256="c0" * 32, decision=decision, card=read
    )


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """The models on disk, for tests to fill; the first is the default one."""
    found: list[SimpleNamespace] = []

    def default() -> SimpleNamespace:
        if not found:
            raise DetectorError(ErrorCode.MODEL_MISSING, "No model is installed.")
        return found[0]

    monkeypatch.setattr(release, "releases", lambda: found)
    monkeypatch.setattr(release, "default_release", default)
    return found


def page(client: Client, name: str) -> str:
    response = client.get(reverse(name))
    assert response.status_code == 200
    return response.content.decode()


def links(html: str) -> set[str]:
    return set(re.findall(r'<a [^>]*href="([^"]+)"', html))


def test_home_says_what_it_cannot_tell_and_leads_strangers_to_registration(client: Client) -> None:
    html = page(client, "home")

    assert "It cannot judge voices, an edited context or scenes that were generated as a whole" in html
    assert f"{reverse('account_signup')}?next={reverse('analysis:new')}" in links(html)


def test_home_leads_people_to_the_upload(client: Client) -> None:
    client.force_login(make_user())

    found = links(page(client, "home"))

    assert {reverse("analysis:new"), reverse("analysis:list"), reverse("profile")} <= found
    assert reverse("account_signup") not in found


def test_home_offers_no_registration_where_it_is_closed(client: Client, settings: Settings) -> None:
    settings.ACCOUNT_SIGNUP_OPEN = False

    assert not any(link.startswith(reverse("account_signup")) for link in links(page(client, "home")))


@pytest.mark.parametrize("staff", [True, False])
def test_only_staff_are_shown_the_administration(client: Client, staff: bool) -> None:
    client.force_login(make_user(staff=staff))

    shown = {reverse("admin:index"), reverse("analysis:staff")} & links(page(client, "home"))

    assert len(shown) == (2 if staff else 0)


def test_the_current_page_is_marked(client: Client) -> None:
    assert re.findall(r'href="([^"]+)"[^>]* aria-current="page"', page(client, "about")) == [reverse("about")]


def test_about_shows_the_card_of_the_default_model(client: Client, models: list[SimpleNamespace]) -> None:
    models.append(installed_model("# Model card\n\n## Measured\n\n| set | AUC |\n|---|---:|\n| test | 0.91 |\n"))

    html = page(client, "about")

    assert "Model card" not in html  # its title would be a second one
    assert "<h2>Measured</h2>" in html
    assert '<th scope="col">AUC</th>' in html
    assert "<td>0.91</td>" in html
    assert "85 %" in html
    assert "12.5 %" in html


def test_about_shows_the_active_model_rather_than_the_default_one(
    client: Client, models: list[SimpleNamespace]
) -> None:
    models += [installed_model("the first"), installed_model("the second", version="2.0.0")]
    ModelVersion.objects.create(
        name="model", version="2.0.0", sha256="2.0.0" * 8, config_sha256="c0" * 32, is_active=True
    )

    html = page(client, "about")

    assert "the second" in html
    assert "the first" not in html


def test_about_shows_the_active_model_beside_a_damaged_one(
    client: Client, models: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged() -> list[object]:
        raise DetectorError(ErrorCode.MODEL_DAMAGED, "Another model cannot be understood.")

    models += [installed_model("the first"), installed_model("the second", version="2.0.0")]
    ModelVersion.objects.create(
        name="model", version="2.0.0", sha256="2.0.0" * 8, config_sha256="c0" * 32, is_active=True
    )
    monkeypatch.setattr(release, "releases", damaged)
    monkeypatch.setattr(release, "load_release", lambda folder: models[1])

    assert "the second" in page(client, "about")


def test_about_shows_no_markup_of_the_card_itself(client: Client, models: list[SimpleNamespace]) -> None:
    hostile = (
        '<script>alert(1)</script> <b onclick="x()">bold</b> [link](javascript:alert(1)) ![x](https://example.org/x)'
    )
    models.append(installed_model(hostile))

    html = page(client, "about")

    assert "<script>alert" not in html
    assert "<b onclick" not in html
    assert 'href="javascript:' not in html
    assert 'src="https:' not in html


def test_about_says_when_the_model_has_no_card(client: Client, models: list[SimpleNamespace]) -> None:
    models.append(installed_model(FileNotFoundError("card.md")))

    assert "This model came without a card" in page(client, "about")


@pytest.mark.usefixtures("models")
def test_about_says_when_no_model_is_installed(client: Client) -> None:
    assert "No model is installed" in page(client, "about")


def test_the_old_name_of_the_icon_leads_to_the_drawing(client: Client) -> None:
    response = client.get("/favicon.ico")

    assert response.status_code == 302
    assert response.headers["Location"] == "/static/img/favicon.svg"


@pytest.mark.parametrize("name", ["home", "about", "favicon"])
def test_open_pages_are_for_reading(client: Client, name: str) -> None:
    assert client.post(reverse(name)).status_code == 405


def test_pages_carry_a_strict_policy(client: Client) -> None:
    headers = client.get(reverse("home")).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["img-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


TEMPLATES = sorted((Path(site.BASE_DIR) / "templates").rglob("*.html"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(site.BASE_DIR)))
def test_templates_keep_to_the_policy(template: Path) -> None:
    """Nothing inline, nothing from elsewhere: the browser would refuse it, and nobody would notice in a test client."""
    text = template.read_text(encoding="utf-8")

    assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:|src=\"data:", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", text)
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text)


def test_a_table_of_a_card_is_reached_by_keyboard_under_its_heading() -> None:
    from deepfakesite.markdown import to_html

    html = to_html('# Card\n\n## By "set" & more\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n')

    assert (
        '<div class="table-scroll" role="region" tabindex="0" aria-label="By &quot;set&quot; &amp; more">\n<table>'
        in html
    )
    assert html.rstrip().endswith("</table>\n</div>")
