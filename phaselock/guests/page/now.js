// The song that plays: what it is, how far it is, and the votes for skipping it.

import { $, announce, setText, still } from "/dom.js";
import { duration, say, title, whoAsked } from "/texts.js";

const PROGRESS_READ_S = 5; // How often the position changes for screen readers.

export class NowView {
  constructor(link, clock, outbox) {
    this.clock = clock;
    this.outbox = outbox;
    this.token = () => link.token;
    this.song = null;
    this.shown_id = null;
    this.timer = 0;
    $("skip").addEventListener("click", () => {
      const { mine } = this.skip();
      this.outbox.skip(this.song.id, !mine);
    });
    $("now-art").addEventListener("load", () => ($("now-art").hidden = false));
    $("now-art").addEventListener("error", () => ($("now-art").hidden = true));
    document.addEventListener("visibilitychange", () => this.move());
    addEventListener("resize", () => this.move());
  }

  show(state) {
    const song = state.now;
    this.song = song;
    $("now").classList.toggle("playing-not", !song || !song.playing);
    setText($("now-state"), say(!song ? "nothing" : song.playing ? "now_playing" : "paused"));
    setText($("now-title"), song ? title(song) : "");
    setText($("now-artist"), song ? song.artist : state.queue.some((row) => row.status !== "played") ? "" : say("nothing_hint"));
    setText($("now-by"), song ? whoAsked(song, song.added_by === state.me.name) : "");
    $("now-progress").hidden = !song;
    this.showArt(song);
    this.showSkip();
    if (song && song.id !== this.shown_id && this.shown_id !== null) {
      announce(say("announce_now", { song: [title(song), song.artist].filter(Boolean).join(" – ") }));
    }
    this.shown_id = song ? song.id : "";
    this.move();
  }

  showArt(song) {
    const art = $("now-art");
    const wanted = song && song.art ? `/art/${song.id}?token=${encodeURIComponent(this.token())}` : "";
    if (art.dataset.of === wanted) return;
    art.dataset.of = wanted;
    art.hidden = true;
    if (wanted) art.src = wanted;
    else art.removeAttribute("src");
  }

  // The votes as they are, with the guest's own that the host has not confirmed.
  skip() {
    const { votes, needed, mine } = this.song.skip;
    const own = this.outbox.find("skip", this.song.id);
    if (!own || own.wanted === mine) return { votes, needed, mine };
    return { votes: votes + (own.wanted ? 1 : -1), needed, mine: own.wanted };
  }

  showSkip() {
    const button = $("skip");
    button.hidden = !this.song || !this.song.skip;
    if (button.hidden) return;
    const skip = this.skip();
    setText($("skip-text"), say(skip.votes ? "skip_votes" : "skip", skip));
    button.setAttribute("aria-pressed", String(skip.mine));
    button.setAttribute("aria-label", say("skip_label", skip));
  }

  // Seconds into the song now.
  position() {
    const { playing, position_s, at_ms, duration_s } = this.song;
    const now_ms = this.clock.now();
    const since_s = playing && now_ms !== null ? (now_ms - at_ms) / 1000 : 0;
    return Math.min(Math.max(position_s + since_s, 0), duration_s || Infinity);
  }

  // Show the position, and again when the bar grows by one pixel of the screen or the seconds change: that is as smooth as
  // a frame rate, and leaves the phone asleep in between.
  move() {
    clearTimeout(this.timer);
    if (!this.song || document.visibilityState !== "visible") return;
    const position_s = this.position();
    const length_s = this.song.duration_s;
    const bar = $("now-bar");
    $("now-fill").style.transform = `scaleX(${length_s ? position_s / length_s : 0})`;
    setText($("now-elapsed"), duration(position_s));
    setText($("now-length"), length_s ? duration(length_s) : "");
    const read_s = PROGRESS_READ_S * Math.floor(position_s / PROGRESS_READ_S);
    bar.setAttribute("aria-valuemax", String(Math.round(length_s)));
    bar.setAttribute("aria-valuenow", String(read_s));
    bar.setAttribute("aria-valuetext", say("position", { position: duration(read_s), length: duration(length_s) }));
    if (!this.song.playing) return;
    const pixels = (bar.clientWidth || 300) * (window.devicePixelRatio || 1);
    const second_ms = 1000 * (1 - (position_s % 1)) + 1;
    const pixel_ms = still() ? Infinity : Math.max((1000 * length_s) / pixels, 16);
    this.timer = setTimeout(() => this.move(), Math.min(second_ms, pixel_ms));
  }
}
