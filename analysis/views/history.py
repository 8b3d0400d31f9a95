"""A person's own analyses: newest first, searched, filtered, paged; several deleted at once."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet, Value
from django.db.models.functions import Concat
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from analysis import name_search, queries, retention, services
from analysis.forms import HistoryForm, SelectionForm
from analysis.models import Analysis
from analysis.views.access import person

PAGE_SIZE = 20
NEWEST_FIRST = ("-created_at", "-pk")


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """The history page; staff, too, find only their own here (the administration lists everyone's)."""
    form = HistoryForm(request.GET)
    found = _filtered(_own(request), form)
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    first = (page.number - 1) * PAGE_SIZE
    shown = queries.of_keys(found.values("pk")[first : first + PAGE_SIZE])
    page.object_list = queries.with_counts(shown).order_by(*NEWEST_FIRST)
    has_any = bool(page.paginator.count) or _own(request).exists()
    numbers = page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)
    context = {
        "form": form,
        "page": page,
        "page_numbers": numbers,
        "has_any": has_any,
        "retention_days": retention.days_of(person(request)),
    }
    return render(request, "analysis/list.html", context)


@require_POST
def delete_many(request: HttpRequest) -> HttpResponse:
    """Shows what was ticked and asks; deletes when the answer comes back confirmed.

    What is gone meanwhile is told by its number; a key of somebody else's is told in the same way.
    """
    form = SelectionForm(request.POST)
    if not form.is_valid():
        raise Http404
    keys = set(form.cleaned_data["analyses"])
    if not keys:
        messages.info(request, _("Nothing was ticked, so nothing was deleted."))
        return redirect("analysis:list")
    chosen = list(_own(request).filter(pk__in=keys))
    if chosen and not form.cleaned_data["confirmed"]:
        _tell_gone(request, len(keys) - len(chosen))
        context = {"analyses": chosen, "action": request.path, "back": reverse("analysis:list")}
        return render(request, "analysis/delete.html", context)
    count = services.delete(chosen)
    if count:
        text = ngettext("%(n)d analysis was deleted.", "%(n)d analyses were deleted.", count)
        messages.success(request, text % {"n": count})
        _tell_gone(request, len(keys) - count)
    else:
        text = ngettext(
            "The ticked analysis was not there any more, so nothing was deleted.",
            "None of the ticked analyses was there any more, so nothing was deleted.",
            len(keys),
        )
        messages.info(request, text)
    return redirect("analysis:list")


def _tell_gone(request: HttpRequest, count: int) -> None:
    """Says how many of several were not there; nothing when all of them were."""
    if count:
        text = ngettext(
            "%(n)d of the ticked analyses was not there any more.",
            "%(n)d of the ticked analyses were not there any more.",
            count,
        )
        messages.info(request, text % {"n": count})


def _own(request: HttpRequest) -> QuerySet[Analysis]:
    who = person(request)
    return queries.visible_to(who).filter(video__owner=who).defer("report")  # which may be large and is not shown


def _filtered(rows: QuerySet[Analysis], form: HistoryForm) -> QuerySet[Analysis]:
    """What is asked for; a value that is none of the choices is told at its field and narrows nothing."""
    form.is_valid()
    asked = form.cleaned_data
    if asked.get("q"):
        rows = name_search.named(rows, asked["q"])
    if asked.get("verdict"):
        rows = rows.filter(verdict=asked["verdict"])
    if asked.get("state"):  # wrapped, or SQLite would go through everybody's of that state instead of the person's own
        rows = rows.alias(stands=Concat("state", Value(""))).filter(stands=asked["state"])
    return rows.order_by(*NEWEST_FIRST)
