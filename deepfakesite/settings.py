"""The site's settings, each read once from the environment or from .env; .env.example lists every variable.

Everything that changes while the site runs (database, media, queue, secret key) lies in DATA_DIR.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import environ  # type: ignore[import-untyped]
from csp.constants import NONE, SELF
from django.contrib.messages import constants as message_levels
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from deepfakesite import caches, logs, secret_key, storage_url
from deepfakesite.limits import Limits

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")

# Where things are kept

_data_dir = env.str("DATA_DIR", default="")
DATA_DIR = Path(_data_dir).expanduser().resolve() if _data_dir else BASE_DIR / "var"
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)  # other users of this machine have no business in it

# A folder, or with s3:// a bucket, in which videos and pictures are kept.
STORAGE_URL = env.str("STORAGE_URL", default="")
MEDIA_ROOT = storage_url.folder_of(STORAGE_URL) or (DATA_DIR / "media" if _data_dir else BASE_DIR / "media")
MEDIA_URL = ""  # never served by path: analysis/media.py looks files up by their row

STATIC_ROOT = BASE_DIR / "staticfiles"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]

# What the site is

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or secret_key.load_or_make(DATA_DIR / "secret_key")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "deepfakesite.urls"
WSGI_APPLICATION = "deepfakesite.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Ours come last: deepfakesite/admin.py takes some of the others' pages out of the administration.
INSTALLED_APPS = [
    "deepfakesite.apps.UnmaskAdminConfig",
    "accounts",  # before auth: its changepassword tells the audit trail
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_rq",
    "audit",
    "analysis",
    "deepfakesite",
]

# A request without a session is turned away, and an oversized one refused, before the CSRF check reads its body.
MIDDLEWARE = [
    "deepfakesite.request_context.request_context",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "deepfakesite.middleware.permissions_policy",
    "deepfakesite.middleware.kept_by_no_browser",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "deepfakesite.middleware.LoginMiddleware",
    "deepfakesite.middleware.QueuePermissionMiddleware",
    "deepfakesite.middleware.BodyLimitMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.known_browsers.known_browser",
    "django_htmx.middleware.HtmxMiddleware",
    "deepfakesite.middleware.OutageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "deepfakesite.context.site",
            ],
        },
    },
]
FORM_RENDERER = "deepfakesite.forms.FieldRenderer"
MESSAGE_TAGS = {message_levels.DEBUG: "info"}

# Database, cache, queue

# A path is made into an address with care, or not at all: there "+", "#", "?" and "%" mean something else.
DATABASES: dict[str, Any] = {
    "default": env.db_url("DATABASE_URL")
    if env.str("DATABASE_URL", default="")
    else {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA_DIR / "unmask.sqlite3"}
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A write transaction takes its lock when it begins and waits for others; readers are never stopped. What was
    # committed is on the disk and outlives a power cut, since an upload is acknowledged on the strength of it.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    # A connection is kept for a minute and looked at before it is used again: the server may have been started anew.
    DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 10)

# Holds the counts that throttle log-ins: shared by all web processes, and there without the queue's server.
CACHES = {"default": caches.safe(env.cache_url("CACHE_URL", default="dbcache://cache_entries"))}

OWN_QUEUE_URL = f"unix://{quote(str(DATA_DIR / 'valkey.sock'))}"  # of the carried server
REDIS_URL = env.str("REDIS_URL", default="") or OWN_QUEUE_URL
RQ_QUEUES = {"default": {"URL": REDIS_URL, "SERIALIZER": "rq.serializers.JSONSerializer"}}
RQ_SHOW_ADMIN_LINK = False  # its pages are at /admin/django-rq/; templates/admin/base_site.html leads there

# Uploads: to disk, on the same file system as the media; the bounds

_defaults = Limits()
UNMASK = Limits(
    max_upload_bytes=env.int("MAX_UPLOAD_BYTES", default=_defaults.max_upload_bytes),
    max_duration_s=env.float("MAX_DURATION_S", default=_defaults.max_duration_s),
    max_pixels=env.int("MAX_PIXELS", default=_defaults.max_pixels),
    min_free_bytes=env.int("MIN_FREE_BYTES", default=_defaults.min_free_bytes),
    probe_timeout_s=env.float("PROBE_TIMEOUT_S", default=_defaults.probe_timeout_s),
    decode_timeout_s=env.float("DECODE_TIMEOUT_S", default=_defaults.decode_timeout_s),
    decode_memory_bytes=env.int("DECODE_MEMORY_BYTES", default=_defaults.decode_memory_bytes),
    lease_s=env.float("LEASE_S", default=_defaults.lease_s),
    heartbeat_s=env.float("HEARTBEAT_S", default=_defaults.heartbeat_s),
    job_timeout_s=env.float("JOB_TIMEOUT_S", default=_defaults.job_timeout_s),
    max_lost_leases=env.int("MAX_LOST_LEASES", default=_defaults.max_lost_leases),
)
NETWORK_PRECISION = env.str("NETWORK_PRECISION", default="auto")  # see detector/precision.py
if NETWORK_PRECISION not in ("auto", "float32", "bfloat16", "int8"):  # named here: settings import no network
    raise ImproperlyConfigured("NETWORK_PRECISION is auto, float32, bfloat16 or int8.")
MOST_DAYS = 36_500  # a hundred years; far beyond, a date is none that the calendar has
RETENTION_DAYS = env.int("RETENTION_DAYS", default=0)  # 0: videos are kept until somebody deletes them
if not 0 <= RETENTION_DAYS <= MOST_DAYS:
    raise ImproperlyConfigured(f"RETENTION_DAYS is a number of days up to {MOST_DAYS}, or 0 to keep videos.")
AUDIT_RETENTION_DAYS = env.int("AUDIT_RETENTION_DAYS", default=365)  # 0: the audit trail is kept for ever
if not 0 <= AUDIT_RETENTION_DAYS <= MOST_DAYS:
    raise ImproperlyConfigured(
        f"AUDIT_RETENTION_DAYS is a number of days up to {MOST_DAYS}, or 0 to keep the audit trail."
    )
FILE_UPLOAD_HANDLERS = ["analysis.uploads.UploadHandler"]
FILE_UPLOAD_TEMP_DIR = DATA_DIR / "uploads"
FILE_UPLOAD_TEMP_DIR.mkdir(exist_ok=True)
FILE_UPLOAD_PERMISSIONS = 0o640
UPLOAD_VIEWS = frozenset({"analysis:new"})  # the only addresses whose requests may be larger than MAX_FORM_BYTES
MAX_FORM_BYTES = 1024 * 1024

# People: e-mail and password, second factor, list of sessions

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email", "display_name"]},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "analysis:list"

ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_SIGNUP_OPEN = env.bool("SIGNUP_OPEN", default=True)
ACCOUNT_EMAIL_VERIFICATION = env.str("ACCOUNT_EMAIL_VERIFICATION", default="none")
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Unmask] "
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_LOGOUT_REDIRECT_URL = "home"
ACCOUNT_SESSION_REMEMBER = None  # the person chooses when logging in
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_MAX_EMAIL_ADDRESSES = 5
ACCOUNT_FORMS = {
    "login": "accounts.forms.LoginForm",
    "signup": "accounts.forms.SignupForm",
    "add_email": "accounts.forms.AddEmailForm",
    "change_password": "accounts.forms.ChangePasswordForm",
    "set_password": "accounts.forms.SetPasswordForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "accounts.forms.ResetPasswordKeyForm",
    "reauthenticate": "accounts.forms.ReauthenticateForm",
}
# What a guesser can try within an hour and a day is measured by `make guesser` (docs/security.md). The first three
# count wrong passwords: for an account from one address, from one address, and for an account by strange browsers
# anywhere (accounts/adapter.py). "login_failed" counts wrong codes for an account as well.
ACCOUNT_RATE_LIMITS = {
    "login_failed": "5/5m/key,30/d/key",
    "guessed_from": "10/m/ip,100/h/ip",
    "guessed_at": "50/h/key,200/d/key",
    "login": "30/m/ip",
    "signup": "10/m/ip,60/h/ip",
    "reset_password": "10/m/ip,60/h/ip,5/h/key",
    "reset_password_from_key": "20/m/ip",
    "change_password": "5/m/user,20/h/user",
    "manage_email": "10/m/user,60/h/user",
    "reauthenticate": "10/m/user",
    "confirm_email": "1/3m/key",
}
MFA_TOTP_ISSUER = "Unmask"
MFA_TOTP_TOLERANCE = 1
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_ALLOW_UNVERIFIED_EMAIL = True  # confirming the e-mail is off by default; a second factor must not wait for it
MFA_ADAPTER = "accounts.adapter.MFAAdapter"
MFA_FORMS = {
    "authenticate": "accounts.forms.SecondFactorForm",
    "reauthenticate": "accounts.forms.SecondFactorAgainForm",
    "activate_totp": "accounts.forms.ActivateSecondFactorForm",
}

vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Unmask <unmask@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# What browsers are told

HTTPS = env.bool("HTTPS", default=False)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# HSTS for subdomains and in browsers' preload lists binds a whole domain, of which this site may be one host.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ALLAUTH_TRUSTED_PROXY_COUNT else None
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "deepfakesite.views.csrf_failure"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "media-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

STORAGES = {
    "default": storage_url.storage(STORAGE_URL),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if DEBUG:
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

# Numbers for a monitoring system

METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
if METRICS_TOKEN and len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("METRICS_TOKEN is too short to keep a secret; take 16 characters or more.")

# Words, times, logs

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_FORMAT = env.str("LOG_FORMAT", default=logs.LINE)
if LOG_FORMAT not in logs.FORMATS:
    raise ImproperlyConfigured(f"LOG_FORMAT is one of {', '.join(logs.FORMATS)}.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": logs.FORMATS,
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "django.server": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
    },
}
