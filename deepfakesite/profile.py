"""A person's own page and the way out.

It stands above accounts and analysis because it shows and deletes what both hold.
"""

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.forms import DeleteAccountForm, ProfileForm
from accounts.models import User
from analysis import quotas, services
from analysis.models import Analysis, Video
from audit import trail
from audit.models import Action


@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """The display name, and how much of the quotas is used."""
    person = get_object_or_404(User, pk=request.user.pk)  # the form changes this one; the page shows request.user
    form = ProfileForm(request.POST if request.method == "POST" else None, instance=person)
    before = person.retention_days
    if form.is_bound and form.is_valid():
        with transaction.atomic():
            form.save()
            if "retention_days" in form.changed_data:
                change = [before, person.retention_days]
                trail.record(Action.RETENTION_CHANGED, "person", person.pk, owner_id=person.pk, retention_days=change)
            others = sorted(set(form.changed_data) - {"retention_days"})
            if others:
                trail.record(Action.PERSON_CHANGED, "person", person.pk, owner_id=person.pk, fields=others)
        messages.success(request, _("Your profile was saved."))
        return redirect("profile")
    return render(
        request,
        "account/profile.html",
        {
            "form": form,
            "use": quotas.use_of(person),
            "installation_days": settings.RETENTION_DAYS,
            "analyses": Analysis.objects.filter(video__owner=person).count(),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@reauthentication_required  # type: ignore[untyped-decorator]
def delete_account(request: HttpRequest) -> HttpResponse:
    """Says what will be gone, then deletes the account with every video, analysis and file."""
    person = get_object_or_404(User, pk=request.user.pk)
    form = DeleteAccountForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        services.delete_person(person)
        logout(request)
        messages.success(request, _("Your account and everything in it were deleted."))
        return redirect("home")
    videos = Video.objects.filter(owner=person).count()
    analyses = Analysis.objects.filter(video__owner=person).count()
    return render(request, "account/delete.html", {"form": form, "videos": videos, "analyses": analyses})
