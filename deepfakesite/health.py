"""/healthz: whether the site can do its work, for load balancers and monitors; it names what fails and nothing more."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from deepfakesite import vitals


@require_safe
@never_cache
@login_not_required
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when the database, the queue and at least one worker answer, else 503 with the ones that do not."""
    answers = {"database": vitals.database_answers(), "queue": vitals.queue_answers()}
    answers["worker"] = answers["queue"] and vitals.living_workers() > 0
    healthy = all(answers.values())
    return JsonResponse({"status": "ok" if healthy else "failing", **answers}, status=200 if healthy else 503)
