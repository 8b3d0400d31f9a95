"""Forms of people's own pages; allauth's with our words and without placeholders, which vanish while one types."""

from typing import Any

from allauth.account import forms as account_forms
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.base import forms as mfa_forms
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp_forms
from django import forms
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts import names
from accounts.models import User

LABELS: dict[str, Any] = {
    "login": _("E-mail address"),
    "email": _("E-mail address"),
    "remember": _("Keep me logged in on this device"),
    "oldpassword": _("Current password"),
    "password2": _("Password again"),
    "code": _("Code"),
    "password": _("Password"),
}
HINTS: dict[str, Any] = {
    "password": "",  # the way to a forgotten password stands below the form
    "oldpassword": "",
    "password1": _(
        "At least 10 characters. Not a common password, not digits alone, nothing like your e-mail address."
    ),
}
TOTP_PERIOD_S = 30  # allauth's default, and what authenticator apps take for granted
CODE_ATTRIBUTES = {
    "inputmode": "text",
    "autocomplete": "one-time-code",
    "autocapitalize": "none",
    "spellcheck": "false",
}


class _OurWords(forms.Form):
    """Labels in the site's words; no placeholder; a code field that phones fill in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = LABELS.get(name, field.label)
            field.help_text = HINTS.get(name, field.help_text)
            if name == "code":
                field.widget.attrs.update(CODE_ATTRIBUTES)


class LoginForm(_OurWords, account_forms.LoginForm):  # type: ignore[misc]
    """E-mail and password."""


class SignupForm(_OurWords, account_forms.SignupForm):  # type: ignore[misc]
    """E-mail and password twice."""

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Allauth's own; an address that is taken costs the same work as a new one, or the time would tell."""
        if self.account_already_exists:
            User().set_password(self.cleaned_data["password1"])
        saved: tuple[User | None, HttpResponse | None] = super().try_save(request)
        return saved


class AddEmailForm(_OurWords, account_forms.AddEmailForm):  # type: ignore[misc]
    """One more e-mail address."""


class ChangePasswordForm(_OurWords, account_forms.ChangePasswordForm):  # type: ignore[misc]
    """Old password, new one twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].label = _("New password")


class SetPasswordForm(_OurWords, account_forms.SetPasswordForm):  # type: ignore[misc]
    """A first password."""


class ResetPasswordForm(_OurWords, account_forms.ResetPasswordForm):  # type: ignore[misc]
    """Where to send the link."""


class ResetPasswordKeyForm(_OurWords, account_forms.ResetPasswordKeyForm):  # type: ignore[misc]
    """A new password for one who followed the link."""


class ReauthenticateForm(_OurWords, account_forms.ReauthenticateForm):  # type: ignore[misc]
    """The password once more."""


class _OncePerCode(forms.Form):
    """Takes a code of the app once only (RFC 6238, section 5.2).

    allauth remembers used ones for one period, but with a tolerance of one they are good for three.
    """

    user: User
    authenticator: Authenticator

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]
        if self.authenticator.type == Authenticator.Type.TOTP:
            good_for_s = TOTP_PERIOD_S * (2 * settings.MFA_TOTP_TOLERANCE + 1)
            plain = "".join(code.split())
            if not cache.add(f"accounts.used_code:{self.user.pk}:{plain}", True, good_for_s):
                raise get_mfa_adapter().validation_error("incorrect_code")
        return code


class SecondFactorForm(_OurWords, _OncePerCode, mfa_forms.AuthenticateForm):  # type: ignore[misc]
    """A code of the authenticator app or a recovery code, after the password."""


class SecondFactorAgainForm(_OurWords, _OncePerCode, mfa_forms.ReauthenticateForm):  # type: ignore[misc]
    """A code once more, before something that matters."""


class ActivateSecondFactorForm(_OurWords, totp_forms.ActivateTOTPForm):  # type: ignore[misc]
    """The first code, which proves that the app was set up."""


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a person may change about themself; the e-mail address has a page of its own."""

    class Meta:
        model = User
        fields = ("display_name", "retention_days")
        labels = {"retention_days": _("Delete my videos after (days)")}
        widgets = {"display_name": forms.TextInput(attrs={"autocomplete": "name"})}
        help_texts = {
            "display_name": _("Shown instead of your e-mail address, to you and to administrators."),
            "retention_days": _(
                "So many days after a video was last examined it is deleted with everything found in it; what is older "
                "already is deleted within the hour. Download the reports that you need before."
            ),
        }

    def clean_display_name(self) -> str:
        return names.one_line(self.cleaned_data["display_name"])


class DeleteAccountForm(forms.Form):
    """A deliberate yes: nothing can be brought back."""

    confirm = forms.BooleanField(label=_("Yes, delete my account and everything in it"))
