"""Fills an installation of its own with rows and files, or tells what its pages show; started as a program by tests."""

import hashlib
import json
import re
import sys

import django

PASSWORD = "correct horse battery staple"


def fill() -> dict[str, str]:
    """One person with an analysis in every state, and a session of theirs; what to come back with."""
    from django.test import Client

    from analysis.models import State
    from tests.analysis.builders import make_analysis, make_user

    person = make_user("ann@example.org", display_name="Ann", max_queued=7)
    for state in State:
        make_analysis(state, person)
    make_analysis(State.DONE, make_user("bob@example.org"))
    client = Client()
    client.force_login(person)
    return {"session": client.cookies["sessionid"].value}


def show(session: str) -> dict[str, str]:
    """By address: what the person with that session is shown; files by their SHA-256."""
    from django.test import Client
    from django.urls import reverse

    from analysis.models import Analysis, FaceSample

    client = Client()
    client.cookies["sessionid"] = session
    shown = {}
    addresses = [reverse("profile"), reverse("analysis:list")]
    for analysis in Analysis.objects.order_by("pk"):
        addresses += [
            reverse(f"analysis:{page}", args=[analysis.pk]) for page in ("detail", "status", "video", "poster")
        ]
        for sample in FaceSample.objects.filter(track__analysis=analysis).order_by("frame_index"):
            at = [analysis.pk, 0, sample.frame_index]
            addresses += [reverse("analysis:crop", args=at), reverse("analysis:heatmap", args=at)]
    for address in addresses:
        response = client.get(address)
        body = response.getvalue()
        if response.headers["Content-Type"].startswith("text/html"):
            body = re.sub(rb'(name="csrfmiddlewaretoken" value=|"X-CSRFToken": )"[^"]+"', b"", body)
        shown[address] = f"{response.status_code} {hashlib.sha256(body).hexdigest()}"
    return shown


def main() -> None:
    django.setup()
    print(json.dumps(fill() if sys.argv[1] == "fill" else show(sys.argv[2])))  # for the test that started this


if __name__ == "__main__":
    main()
