"""What templates of people's pages need."""

from django import template

from accounts import browsers

register = template.Library()


@register.filter
def browser_name(user_agent: str) -> str:
    return browsers.name_of(user_agent)
