"""The administration of this app: for looking. What it changes, it changes through services.py."""

from analysis.admin import analyses, model_versions, videos

__all__ = ["analyses", "model_versions", "videos"]
