// The video follows the chosen moment, and the read-out under it follows the video: who is to be seen, with which score.
// What changes is said aloud when the video rests, and while it plays only when somebody's range changes.
(() => {
  const video = document.querySelector("[data-video]");
  if (!video) return;
  const readout = document.querySelector("[data-readout]");
  const unplayable = document.querySelector("[data-video-unplayable]");
  const quietMs = 4000;

  const giveUp = () => {
    video.hidden = true;
    if (readout) readout.hidden = true;
    unplayable.hidden = false;
  };
  video.addEventListener("error", giveUp);
  if (video.error) giveUp();

  const frames = [...document.querySelectorAll("[data-frames-strip] [data-frame]")].map((figure) => ({
    frame: Number(figure.dataset.frame),
    time: Number(figure.dataset.time),
  }));
  const gap = frames.length > 1 ? (frames.at(-1).time - frames[0].time) / (frames.length - 1) : Infinity;
  const nearest = (items, time) =>
    items.reduce((best, item) => (!best || Math.abs(item.time - time) < Math.abs(best.time - time) ? item : best), null);

  const people = readout ? [...readout.querySelectorAll("[data-readout-person]")].map((row) => ({
    row,
    name: row.firstElementChild.textContent,
    share: row.querySelector("[data-readout-share]"),
    words: row.querySelector("[data-readout-words]"),
    scores: [...document.querySelectorAll(`[data-person="${row.dataset.readoutPerson}"] .point`)].map((point) => ({
      time: Number(point.dataset.time),
      share: point.dataset.share,
      band: point.dataset.band,
    })),
  })) : [];

  const clock = (time) => {
    const tenths = Math.round(time * 10);
    return `${Math.floor(tenths / 600)}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
  };

  const now = (person) => {
    const score = nearest(person.scores, video.currentTime);
    if (!score || Math.abs(score.time - video.currentTime) > gap * 0.75) return { share: "", band: "away" };
    return score;
  };

  let spokenBands = "";
  let spokenAt = 0;
  const read = () => {
    if (!readout) return;
    readout.querySelector("[data-readout-time]").textContent = clock(video.currentTime);
    const found = people.map((person) => ({ person, score: now(person) }));
    for (const { person, score } of found) {
      person.row.className = `readout__person readout__person--${score.band}`;
      person.share.textContent = score.share;
      person.words.textContent = readout.dataset[score.band];
    }
    const bands = found.map(({ score }) => score.band).join();
    const isResting = video.paused && !video.seeking;
    if (!isResting && (bands === spokenBands || performance.now() - spokenAt < quietMs)) return;
    spokenBands = bands;
    spokenAt = performance.now();
    const sentences = found.map(({ person, score }) => `${person.name}: ${score.share} ${readout.dataset[score.band]}`);
    readout.querySelector("[data-readout-status]").textContent = `${clock(video.currentTime)}. ${sentences.join(". ")}`;
  };

  let isFollowing = false;
  video.addEventListener("timeupdate", () => {
    read();
    document.dispatchEvent(new CustomEvent("moment:played", { detail: { time: video.currentTime } }));
  });
  const rest = () => {
    if (isFollowing || !video.paused || !frames.length) {
      isFollowing = false;
      return;
    }
    const detail = { ...nearest(frames, video.currentTime), source: "video", byPointer: false };
    document.dispatchEvent(new CustomEvent("moment:chosen", { detail }));
  };
  video.addEventListener("seeked", rest);
  video.addEventListener("pause", rest);

  document.addEventListener("moment:chosen", (event) => {
    if (event.detail.source === "video" || video.hidden) return;
    isFollowing = true;
    video.pause();
    video.currentTime = event.detail.time + 0.001;
  });

  if (readout && !video.hidden) {
    const status = readout.querySelector("[data-readout-status]");
    read();
    status.textContent = "";
  }
})();
