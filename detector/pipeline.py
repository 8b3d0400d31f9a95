"""From a video file to a report: the only module that knows all stages."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector import drawing, heatmap, jpeg, verdict
from detector.digest import Digest
from detector.errors import DetectorError, ErrorCode
from detector.following import Followed, Frame, follow
from detector.hands import Hands
from detector.inference import FrameOutput, Network
from detector.precision import Precision
from detector.reader import Reader
from detector.report import FaceSample, ModelInfo, Reason, Report, SampledFrame, Track, Verdict, VideoInfo
from detector.stopwatch import Spent, Stopwatch
from detector.stream import Limits, StreamInfo
from detector.tracking import Sighting

STAGES = ("reading", "faces", "judging", "drawing")
# What 60 frames of 1080p take on two cores (bench), for shares of the whole; judging by backbone and precision.
STAGE_S = {"reading": 0.2, "faces": 2.7, "drawing": 0.3}
JUDGING_S = {
    "resnext50_32x4d": {Precision.FLOAT32: 1.5, Precision.BFLOAT16: 0.7, Precision.INT8: 0.5},
    "efficientnet_lite2": {Precision.FLOAT32: 0.5, Precision.BFLOAT16: 0.3, Precision.INT8: 0.5},  # never in int8
    "clip_vit_b16": {Precision.FLOAT32: 14.0, Precision.BFLOAT16: 8.2, Precision.INT8: 4.5},
}
# Stages whose time is told, in order. probe: the decoder's start, the first frame, and the wait for the hash; decode:
# the wait for frames; detect: finding faces and their landmarks; draw: frames kept as JPEG, and drawn on; write:
# crops and heatmaps as JPEG, and the disk.
TIMED = ("probe", "decode", "detect", "track", "crop", "network", "verdict", "heatmap", "draw", "write")
LIBRARIES = ("av", "dlib-bin", "face_recognition", "mediapipe", "numpy", "opencv-python-headless", "openvino")
MIN_FRAMES, MAX_FRAMES = 10, 120
KEEP_WIDTH = 1280


@dataclass(frozen=True)
class Settings:
    """How thoroughly a video is examined."""

    frames: int = 60  # sampled at regular intervals over the whole video
    limits: Limits = field(default_factory=Limits)
    max_faces_per_frame: int = 12
    max_people: int = 20

    def __post_init__(self) -> None:
        if not MIN_FRAMES <= self.frames <= MAX_FRAMES:
            raise ValueError(f"frames must lie between {MIN_FRAMES} and {MAX_FRAMES}, not {self.frames}.")


def analyze(
    path: Path,
    network: Network,
    settings: Settings | None = None,
    *,
    out_dir: Path | None = None,
    on_progress: Callable[[str, float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    reader: Reader | None = None,
    stopwatch: Stopwatch | None = None,
    draw_frames: bool = True,
) -> Report:
    """Examine the video at ``path`` and say what was found.

    With ``out_dir`` (made where missing) the crops, heatmaps and annotated frames are written there as JPEG, under the
    relative names the report carries; without ``draw_frames`` frames as they were, for drawing.on_frame to draw on when
    somebody looks at one. ``on_progress`` hears (stage, share of the whole, 0 to 1); ``should_stop`` is
    asked between frames and between batches. ``reader`` is one on this path that was entered already, so that its start
    costs no time here. ``stopwatch`` is one to look at afterwards: it gets the stages TIMED, and the processor time of
    the decoder's process too. Raises as a Reader does; when the decoder is stopped, the frames read until then count
    for nothing.
    """
    settings = settings or Settings()
    watch = stopwatch or Stopwatch()
    job = _Job(network, settings, on_progress or _ignore, should_stop or _never, watch)
    started = time.perf_counter()
    with ExitStack() as stack:
        if reader is None:
            reader = stack.enter_context(Reader(path, settings.limits))
        with watch.stage("probe"):
            info = reader.info(job.should_stop)
        digest = stack.enter_context(Digest(path))
        probing_cpu_s = reader.usage().cpu_s
        watch.add("probe", probing_cpu_s)
        job.progress("reading", 1.0)
        followed = job.follow(reader, keep=out_dir is not None)
        watch.add("decode", max(0.0, reader.usage().cpu_s - probing_cpu_s))
        with watch.stage("probe"):
            sha256 = digest.hexdigest()
    with watch.stage("network"):
        outputs = job.judge(followed.tracks)
    with watch.stage("verdict"):
        tracks = job.tracks(followed.tracks, outputs)
    people = sum(track.probability_fake is not None for track in tracks)
    frames = [SampledFrame(frame.index, frame.time_s) for frame in followed.frames]
    if out_dir is not None:
        tracks, frames = job.draw(out_dir, followed, outputs, tracks, draw_frames)
    overall, probability, reasons = verdict.video_verdict(tracks)
    total_s = time.perf_counter() - started
    job.progress("drawing", 1.0)
    return Report(
        verdict=overall,
        probability_fake=probability,
        confidence=verdict.confidence(overall, probability, verdict.crowd_factor(network.release.decision, people)),
        reasons=reasons,
        frames_requested=settings.frames,
        frames_analyzed=len(frames),
        tracks=tuple(tracks),
        frames=tuple(frames),
        video=_video_info(info, sha256),
        model=_model_info(network),
        timings_s={**_wall_s(watch.spent), "total": round(total_s, 3)},
        libraries=library_versions(),
        people_left_out=followed.people_left_out,
    )


class _Job:
    """One analysis: its stages, each timed and able to stop."""

    def __init__(
        self,
        network: Network,
        settings: Settings,
        on_progress: Callable[[str, float], None],
        should_stop: Callable[[], bool],
        watch: Stopwatch,
    ) -> None:
        self.network, self.settings = network, settings
        self.on_progress, self.should_stop, self.watch = on_progress, should_stop, watch

    def progress(self, stage: str, share: float) -> None:
        """``share`` of this stage, 0 to 1."""
        seconds = {**STAGE_S, "judging": JUDGING_S[self.network.release.network.backbone][self.network.precision]}
        before = sum(seconds[name] for name in STAGES[: STAGES.index(stage)])
        self.on_progress(stage, min(1.0, (before + share * seconds[stage]) / sum(seconds.values())))

    def check(self) -> None:
        if self.should_stop():
            raise DetectorError(ErrorCode.CANCELLED, "The analysis was cancelled.")

    def follow(self, reader: Reader, keep: bool) -> Followed:
        """The people in the frames of ``reader``, which ends its process as soon as it has sent the last."""

        def pictures() -> Iterator[tuple[int, float, NDArray[np.uint8]]]:
            yield from reader.sample(self.settings.frames, self.should_stop)
            reader.close()  # its memory is wanted while people are told apart

        with Hands(self.network.threads) as hands:
            return follow(
                pictures(),
                self.network.release.crop,
                max_faces=self.settings.max_faces_per_frame,
                max_people=self.settings.max_people,
                keep_width=KEEP_WIDTH if keep else None,
                on_frame=lambda done: self.progress("faces", min(1.0, done / self.settings.frames)),
                stopwatch=self.watch,
                hands=hands,
            )

    def judge(self, tracks: Sequence[Sequence[Sighting]]) -> list[FrameOutput]:
        """The network on every crop, track by track."""
        total, before = sum(map(len, tracks)), 0
        outputs = []

        def on_batch(done: int) -> None:
            self.progress("judging", (before + done) / total)
            self.check()

        for track in tracks:
            outputs.append(self.network.frames(np.stack([seen.crop.pixels for seen in track]), on_batch))
            before += len(track)
        return outputs

    def tracks(self, tracks: Sequence[Sequence[Sighting]], outputs: Sequence[FrameOutput]) -> list[Track]:
        release = self.network.release
        samples = [
            tuple(self._sample(seen, float(logit)) for seen, logit in zip(track, output.logits, strict=True))
            for track, output in zip(tracks, outputs, strict=True)
        ]
        reasons = [verdict.quality_reasons(of_person, release.decision) for of_person in samples]
        people = sum(not reason for reason in reasons)
        return [
            self._track(index, samples[index], output, reasons[index], people) for index, output in enumerate(outputs)
        ]

    def _track(
        self, index: int, samples: tuple[FaceSample, ...], output: FrameOutput, reasons: tuple[Reason, ...], people: int
    ) -> Track:
        if reasons:
            return Track(index, Verdict.INCONCLUSIVE, None, None, reasons, samples)
        usable = np.array([sample.usable for sample in samples])
        temporal = self.network.track_logit(output.pooled[usable])
        release = self.network.release
        probability = verdict.track_probability(temporal, list(output.logits[usable]), release)
        given = verdict.answer(probability, release.decision, people)
        why = (verdict.open_reason(probability, release.decision),) if given is Verdict.INCONCLUSIVE else ()
        sure = verdict.confidence(given, probability, verdict.crowd_factor(release.decision, people))
        return Track(index, given, probability, sure, why, samples)

    def _sample(self, seen: Sighting, logit: float) -> FaceSample:
        release = self.network.release
        x0, y0, x1, y1 = (round(value) for value in seen.box)
        return FaceSample(
            frame_index=seen.frame_index,
            time_s=round(seen.time_s, 3),
            box=(x0, y0, x1, y1),
            probability_fake=verdict.frame_probability(logit, release.calibration),
            face_px=seen.crop.face_px,
            sharpness=round(seen.crop.sharpness, 2),
            usable=verdict.is_usable(seen.crop.face_px, seen.crop.sharpness, release.decision),
        )

    def draw(
        self,
        out_dir: Path,
        followed: Followed,
        outputs: Sequence[FrameOutput],
        tracks: Sequence[Track],
        draw_frames: bool,
    ) -> tuple[list[Track], list[SampledFrame]]:
        """Write every picture, faces drawn on frames or not; tracks and frames with the pictures' names."""
        out_dir.mkdir(parents=True, exist_ok=True)
        steps = len(tracks) + len(followed.frames)
        drawn, frames = [], []
        with Hands(self.network.threads) as hands:
            for track, sightings, output in zip(tracks, followed.tracks, outputs, strict=True):
                self.check()
                drawn.append(self._draw_person(out_dir, track, sightings, output, hands))
                self.progress("drawing", len(drawn) / steps)
            faces_on = tracks if draw_frames else None
            for frame in hands.each(lambda frame: self._keep_frame(out_dir, frame, faces_on), followed.frames):
                self.check()
                frames.append(frame)
                self.progress("drawing", (len(drawn) + len(frames)) / steps)
        return drawn, frames

    def _draw_person(
        self, out_dir: Path, track: Track, sightings: Sequence[Sighting], output: FrameOutput, hands: Hands
    ) -> Track:
        bias, calibration = self.network.frame_bias, self.network.release.calibration

        def draw(one: tuple[FaceSample, Sighting, NDArray[np.float32]]) -> FaceSample:
            sample, seen, cam = one
            crop = f"crop-{track.index:02}-{sample.frame_index:03}.jpg"
            map_name = f"heatmap-{track.index:02}-{sample.frame_index:03}.jpg"
            with self.watch.stage("heatmap"):
                overlaid = drawing.overlay(seen.crop.pixels, heatmap.contributions(cam, bias, calibration))
            with self.watch.stage("write"):
                (out_dir / crop).write_bytes(jpeg.encode(seen.crop.pixels, quality=92))
                (out_dir / map_name).write_bytes(jpeg.encode(overlaid, quality=85))
            return replace(sample, crop=crop, heatmap=map_name)

        return replace(track, samples=tuple(hands.map(draw, zip(track.samples, sightings, output.maps, strict=True))))

    def _keep_frame(self, out_dir: Path, frame: Frame, tracks: Sequence[Track] | None) -> SampledFrame:
        """Write the frame as it was, or with the faces of ``tracks`` in it."""
        if frame.jpeg is None:
            raise ValueError("The frame was not kept.")
        name, content = f"frame-{frame.index:03}.jpg", frame.jpeg
        if tracks is not None:
            with self.watch.stage("draw"):
                content = drawing.on_frame(content, frame.width, _faces_in(frame.index, tracks))
        with self.watch.stage("write"):
            (out_dir / name).write_bytes(content)
        return SampledFrame(frame.index, frame.time_s, name, frame.width if tracks is None else None)


def _faces_in(frame_index: int, tracks: Sequence[Track]) -> list[drawing.DrawnFace]:
    return [
        drawing.DrawnFace(sample.box, track.verdict, sample.probability_fake, str(track.index + 1))
        for track in tracks
        for sample in track.samples
        if sample.frame_index == frame_index
    ]


def _wall_s(spent: Mapping[str, Spent]) -> dict[str, float]:
    return {name: round(spent[name].wall_s, 3) for name in TIMED if name in spent}


def _video_info(info: StreamInfo, sha256: str) -> VideoInfo:
    return VideoInfo(
        sha256=sha256,
        size_bytes=info.size_bytes,
        container=info.container,
        codec=info.codec,
        width=info.width,
        height=info.height,
        rotation_deg=info.rotation_deg,
        duration_s=round(info.duration_s, 3),
        frame_rate=round(info.frame_rate, 3),
    )


def _model_info(network: Network) -> ModelInfo:
    release = network.release
    decision = release.decision
    return ModelInfo(
        release.name,
        release.version,
        release.sha256,
        decision.threshold_fake,
        decision.threshold_real,
        release.network.maps_add_up,
        release.config_sha256,
        network.precision.value,
    )


@cache
def library_versions() -> dict[str, str]:
    """The installed versions of what computes a report."""
    return {name: metadata.version(name) for name in LIBRARIES}


def _ignore(stage: str, share: float) -> None:
    """Nobody listens to the progress."""


def _never() -> bool:
    return False
