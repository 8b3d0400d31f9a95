"""From registration to deletion in a real browser, against a site that is really started."""

import json
import re
from pathlib import Path

from playwright.sync_api import expect

from detector.report import Report
from tests.e2e.conftest import (
    ADMINISTRATOR,
    PHONE,
    OpenPage,
    Watch,
    check_width,
    log_in,
    register,
    take_screenshot,
    upload,
    wait_for_result,
)
from tests.running import Site
from tests.videos import renamed_text


def test_a_newcomer_goes_from_registration_to_deletion(open_page: OpenPage, clip: Path) -> None:
    page = open_page()
    page.goto("/")
    page.get_by_role("link", name="Register").first.click()
    register(page, "newcomer@example.org")
    expect(page.get_by_role("heading", name="Nothing examined yet")).to_be_visible()

    page.goto("/analyses/new/")
    page.locator("input[name=video]").set_input_files(clip)
    expect(page.get_by_text(clip.name)).to_be_visible()
    take_screenshot(page, "upload", height=1060)

    address = upload(page, clip, frames=12)
    wait_for_result(page)
    assert page.url == address

    first_face = page.locator(".face").first
    expect(first_face.locator(".face__crop")).to_be_visible()
    expect(first_face.locator(".face__heatmap")).to_be_hidden()
    page.get_by_role("radio", name="Where the model looked").check()
    expect(first_face.locator(".face__heatmap")).to_be_visible()
    expect(first_face.locator(".face__crop")).to_be_hidden()

    points = page.locator(".chart .point")
    assert points.count() == page.locator(".faces__strip .face").count()
    points.first.focus()
    page.keyboard.press("ArrowRight")
    expect(points.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    second_frame = points.nth(1).get_attribute("data-frame")
    expect(page.locator(f"#frame-{second_frame}")).to_be_in_viewport()

    page.evaluate("scrollTo(0, 0)")
    take_screenshot(page, "result", height=1500)

    with page.expect_download() as download:
        page.get_by_role("link", name="Report as JSON").click()
    report = Report.from_json(json.loads(download.value.path().read_text(encoding="utf-8")))
    assert report.frames_analyzed == 12
    assert len(report.tracks) == 1

    page.goto("/analyses/")
    page.get_by_label("File name").fill("astronaut")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=clip.name).click()
    assert page.url == address

    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    page.wait_for_url("**/analyses/")
    expect(page.get_by_role("heading", name="Nothing examined yet")).to_be_visible()


def test_no_page_is_wider_than_a_phone_before_its_scripts_run(open_page: OpenPage) -> None:
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True, java_script_enabled=False)
    register(page, "narrow@example.org")

    for address in ("/", "/about/", "/analyses/", "/analyses/new/", "/accounts/profile/"):
        page.goto(address)
        check_width(page)


def test_everything_works_without_javascript(open_page: OpenPage, two_people: Path) -> None:
    page = open_page(java_script_enabled=False)
    register(page, "without-scripts@example.org")

    address = upload(page, two_people, frames=10)
    wait_for_result(page)

    expect(page.get_by_role("heading", name="2 people in this video")).to_be_visible()
    expect(page.locator(".person")).to_have_count(2)
    page.locator(".chart .point").first.click()
    assert re.search(r"#frame-\d+$", page.url)
    page.goto(address)
    page.get_by_role("link", name="Examine again").first.click()
    page.locator("input[name=frames]").fill("11")
    page.get_by_role("button", name="Examine again").click()
    page.wait_for_url(re.compile(r"/analyses/[0-9a-f-]{36}/$"))
    assert page.url != address
    wait_for_result(page)

    page.get_by_role("link", name="Compare with the one of").click()
    expect(page.get_by_role("heading", name="Two analyses of the same video")).to_be_visible()
    expect(page.locator(".comparison__people > li")).to_have_count(2)
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    check_width(page)

    page.goto("/analyses/")
    for tick in page.locator("input[name=analyses]").all():
        tick.check()
    page.get_by_role("button", name="Delete the ticked").click()
    expect(page.get_by_role("heading", name="Delete 2 analyses?")).to_be_visible()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("heading", name="Nothing examined yet")).to_be_visible()


def test_the_whole_way_on_a_phone_in_the_dark(open_page: OpenPage, clip: Path) -> None:
    page = open_page(viewport=PHONE, color_scheme="dark", has_touch=True, is_mobile=True)
    register(page, "phone@example.org")

    for address in ("/", "/about/", "/analyses/", "/analyses/new/", "/accounts/profile/"):
        page.goto(address)
        check_width(page)
    upload(page, clip, frames=10)
    check_width(page)
    wait_for_result(page)
    check_width(page)
    take_screenshot(page, "result-phone", **PHONE)


def test_a_file_that_is_no_video_is_refused_where_it_was_chosen(
    open_page: OpenPage, watch: Watch, tmp_path: Path
) -> None:
    watch.expect("422")
    page = open_page()
    register(page, "refused@example.org")
    page.goto("/analyses/new/")
    page.locator("input[name=video]").set_input_files(renamed_text(tmp_path / "list.mp4"))
    page.locator("input[name=frames]").fill("33")
    page.locator("form[enctype] button[type=submit]").click()

    expect(page.locator("[data-field=video] .errorlist")).to_be_visible()
    expect(page.locator("input[name=frames]")).to_have_value("33")
    page.goto("/analyses/")
    expect(page.get_by_role("heading", name="Nothing examined yet")).to_be_visible()


def test_a_waiting_analysis_is_cancelled_and_run_again(open_page: OpenPage, clip: Path) -> None:
    page = open_page()
    register(page, "patience@example.org")
    upload(page, clip, frames=120)

    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="The analysis was cancelled")).to_be_visible()
    page.get_by_role("button", name="Run again").click()
    wait_for_result(page)


def test_a_stranger_finds_nothing_and_an_administrator_everything(
    open_page: OpenPage, watch: Watch, site: Site, clip: Path
) -> None:
    owner = open_page()
    register(owner, "owner@example.org")
    address = upload(owner, clip, frames=10)
    wait_for_result(owner)
    crop = owner.locator(".face__crop").first.get_attribute("src")

    stranger = open_page()
    register(stranger, "stranger@example.org")
    watch.expect("404")
    for hidden in (address, f"{address}report.json", f"{address}status.json", f"{site.url}{crop}"):
        answer = stranger.goto(hidden)
        assert answer is not None
        assert answer.status == 404

    administrator = open_page()
    log_in(administrator, ADMINISTRATOR, target="/admin/")
    administrator.goto("/admin/analysis/analysis/")
    expect(administrator.get_by_text(clip.name).first).to_be_visible()
    take_screenshot(administrator, "admin", width=1600)
    administrator.goto("/staff/")
    watch.expect("/admin/django-rq/.*inline style")  # django-rq's own page; blocked, and none the worse for it
    administrator.goto("/admin/django-rq/")
    expect(administrator.get_by_role("link", name="default").first).to_be_visible()
    administrator.goto(address)
    wait_for_result(administrator)
