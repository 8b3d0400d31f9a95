"""``manage.py analyze VIDEO --user E-MAIL``: has a local file examined for a person, as their upload would be."""

import sys
import time
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from analysis import services, turns
from analysis.messages import reason_sentence, sentence_for
from analysis.models import DEFAULT_FRAMES, Analysis, State
from detector.summary import MOST_SURE

_POLL_S = 0.5
_REFUSED = 2


class Command(BaseCommand):
    help = "Submits VIDEO for a person, waits for the queue, and prints the verdict. Exit code 2 when there is none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("video", type=Path, help="the file to examine")
        parser.add_argument("--user", required=True, metavar="E-MAIL", help="whose analysis it is")
        parser.add_argument(
            "--frames", type=int, default=DEFAULT_FRAMES, help="how many frames to look at (%(default)s)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        owner = User.objects.filter(email__iexact=options["user"]).first()
        if owner is None:
            raise CommandError(f"There is nobody with the e-mail address {options['user']}.", returncode=_REFUSED)
        path: Path = options["video"]
        try:
            with path.open("rb") as file:
                upload = UploadedFile(file, name=path.name, size=path.stat().st_size)
                analysis = services.submit(owner, upload, options["frames"])
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.", returncode=_REFUSED) from error
        except services.Refused as refusal:
            raise CommandError(refusal.message, returncode=_REFUSED) from refusal
        try:
            analysis = self._wait(analysis)
        except KeyboardInterrupt:
            self.stderr.write(f"\nThe analysis {analysis.pk} goes on without you; find it in the history.")
            sys.exit(130)
        self._tell(analysis)

    def _wait(self, analysis: Analysis) -> Analysis:
        said = ""
        while not analysis.is_final:
            said = self._show(analysis, said)
            time.sleep(_POLL_S)
            found = Analysis.objects.filter(pk=analysis.pk).first()
            if found is None:
                raise CommandError("The analysis was deleted while it was waited for.", returncode=_REFUSED)
            analysis = found
        if said:
            self.stderr.write("", ending="\n")
        return analysis

    def _show(self, analysis: Analysis, said: str) -> str:
        """One line that is written over on a terminal, and written only when it changes elsewhere."""
        if analysis.state == State.QUEUED:
            words = f"Waiting, number {turns.place_of(analysis)} in the queue"
        else:
            words = f"{analysis.get_stage_display() or 'Starting'}: {analysis.share:.0%}"
        if words != said:
            is_terminal = self.stderr.isatty()
            self.stderr.write(f"\r\x1b[K{words}" if is_terminal else words, ending="" if is_terminal else "\n")
            self.stderr.flush()
        return words

    def _tell(self, analysis: Analysis) -> None:
        if analysis.state != State.DONE:
            code = analysis.error_code or analysis.state
            raise CommandError(sentence_for(code), returncode=_REFUSED)
        certainty = f", {min(analysis.confidence, MOST_SURE):.1%} sure" if analysis.confidence is not None else ""
        self.stdout.write(f"{analysis.verdict}{certainty}")
        for reason in (analysis.report or {}).get("reasons", []):
            self.stdout.write(reason_sentence(reason))
        for track in analysis.tracks.all():
            score = "–" if track.probability_fake is None else f"{track.probability_fake:.3f}"
            self.stdout.write(f"person {track.index + 1}: {track.verdict}, probability of fake {score}")
        self.stdout.write(f"analysis {analysis.pk}")
