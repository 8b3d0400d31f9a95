"""What people send: a video with its number of frames, a search through the history, a selection. Shapes only."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from analysis.messages import sentence_for
from analysis.models import DEFAULT_FRAMES, MAX_FRAMES, MIN_FRAMES, ModelVersion, State, Verdict
from detector.errors import ErrorCode

if TYPE_CHECKING:
    _ModelVersionChoice = forms.ModelChoiceField[ModelVersion]
else:
    _ModelVersionChoice = forms.ModelChoiceField

ACCEPTED = "video/*,image/gif,.mp4,.m4v,.mov,.mkv,.webm,.avi,.gif"  # a hint for the file dialog; the content decides


class FramesField(forms.IntegerField):
    """How many frames are looked at."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            min_value=MIN_FRAMES,
            max_value=MAX_FRAMES,
            initial=DEFAULT_FRAMES,
            label=_("Frames to look at"),
            error_messages={
                "required": _("Enter a number of frames between 10 and 120; 60 suits most videos."),
                "invalid": _("Enter a whole number of frames between 10 and 120."),
                "min_value": _("Choose at least %(limit_value)s frames; fewer say too little."),
                "max_value": _("Choose at most %(limit_value)s frames; more take longer and add little."),
            },
            **kwargs,
        )

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        attributes = super().widget_attrs(widget)
        return {**attributes, "inputmode": "numeric", "autocomplete": "off"}


class UploadForm(forms.Form):
    """A new video."""

    video = forms.FileField(
        label=_("Video"),
        widget=forms.ClearableFileInput(attrs={"accept": ACCEPTED}),
        error_messages={
            "required": _("Choose a video first; nothing was sent."),
            "missing": _("Choose a video first; nothing was sent."),
            "invalid": _("The file did not arrive; choose it again and send the form once more."),
            "empty": lazy(sentence_for, str)(ErrorCode.EMPTY),
        },
    )
    frames = FramesField()


class AgainForm(forms.Form):
    """The same video once more, with another number of frames or another model version.

    ``models`` are offered; whether another one that was sent can judge is for services.analyze_again to say.
    """

    frames = FramesField()

    def __init__(self, *args: Any, models: list[ModelVersion], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        active = next((_words(one) for one in models if one.is_active), "")
        unset = _("The active one: %(model)s") % {"model": active} if active else _("The active one")
        field = _ModelVersionChoice(
            queryset=ModelVersion.objects.all(),
            required=False,
            label=_("Model version"),
            help_text=_(
                "Another version may say something else. Both results are kept and can be compared side by side."
            ),
            error_messages={"invalid_choice": _("This model version is not known here; choose one of the list.")},
        )
        field.choices = [("", unset), *((one.pk, _words(one)) for one in models)]
        self.fields["model"] = field


class HistoryForm(forms.Form):
    """A search through one's own analyses; sent with GET, so that a search can be kept as an address."""

    q = forms.CharField(
        label=_("File name"),
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": _("Part of the name")}),
    )
    verdict = forms.ChoiceField(label=_("Verdict"), required=False, choices=[("", _("Any verdict")), *Verdict.choices])
    state = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("Any state")), *State.choices])

    @property
    def is_filtering(self) -> bool:
        """Whether anything narrows the list."""
        return self.is_valid() and any(self.cleaned_data.values())


class KeysField(forms.TypedMultipleChoiceField):
    """Keys of analyses, of which some may be gone since the page was made: nothing but their shape is looked at."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(coerce=UUID, empty_value=[], **kwargs)

    def valid_value(self, value: Any) -> bool:
        return True


class SelectionForm(forms.Form):
    """Several analyses, ticked in the history; ``confirmed`` says that the person has read what will be deleted."""

    analyses = KeysField(required=False)
    confirmed = forms.BooleanField(required=False)


def _words(version: ModelVersion) -> str:
    return f"{version.name} {version.version}"
