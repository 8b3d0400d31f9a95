"""How long a video will be kept, for templates that show one; asks the database."""

from datetime import datetime
from typing import Any

from django import template

from analysis import retention
from analysis.models import Analysis

register = template.Library()


@register.simple_tag(takes_context=True)
def delete_at(context: dict[str, Any], analysis: Analysis) -> datetime | None:
    """When retention deletes the video of this analysis; None when it is kept."""
    video, reader = analysis.video, context["user"]
    return retention.delete_at(video, reader if reader.pk == video.owner_id else video.owner)
