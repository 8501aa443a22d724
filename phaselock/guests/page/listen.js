// "Listen here": the phone as a loudspeaker, what it says of itself, and its alignment by ear.

import { SessionClock } from "/clock.js";
import { $, setText } from "/dom.js";
import { Metronome } from "/metronome.js";
import { Speaker } from "/speaker.js";
import { load, save } from "/store.js";
import { Sweeps } from "/sweeps.js";
import { say } from "/texts.js";

const STEP_MS = 5;
const MAX_LATER_MS = 1000;
// How often the host is told the uncertainty while it changes.
const TOLD_EVERY_MS = 10000;
// Uncertainties are shown as one of these: they are no more exact than that.
const SHOWN_MS = [1, 2, 3, 5, 10, 20, 50, 100, 200];
const SENTENCES = {
  tap: "listen_tap",
  clock: "listen_clock",
  output: "listen_output",
  fetching: "listen_fetching",
  failed: "listen_failed",
  "too long": "listen_too_long",
  silent: "listen_silent",
  starting: "listen_starting",
};

function roundedMs(uncertaintyMs) {
  return SHOWN_MS.find((shown) => uncertaintyMs <= shown) || Math.ceil(uncertaintyMs / 100) * 100;
}

export class ListenView {
  constructor(link) {
    this.link = link;
    this.speaker = null;
    this.timeline = null;
    this.told_ms = null;
    this.told_at_ms = 0;
    const Context = window.AudioContext || window.webkitAudioContext;
    if (!Context) return;
    this.context = () => new Context({ latencyHint: "playback" });
    link.on("pong", (message) => this.speaker && this.clock.receive(message));
    link.on("timeline", (message) => this.follow(message));
    link.on("sweep", (message) => this.speaker && this.playSweeps(message));
    link.on("sweep_end", () => this.speaker && this.sweeps.end());
    link.on("calibrated", (message) => this.speaker && this.setLater(this.laterMs() - message.late_ns / 1e6, true));
    link.on("up", () => this.speaker && this.ask());
    $("listen").hidden = false;
    $("listen").addEventListener("click", () => this.press());
    $("listen-volume").addEventListener("input", () => this.setVolume());
    $("align-output").value = load("output", "own");
    $("align-output").addEventListener("change", () => {
      save("output", $("align-output").value);
      this.useLater();
    });
    $("align-earlier").addEventListener("click", () => this.step(-STEP_MS));
    $("align-later").addEventListener("click", () => this.step(STEP_MS));
    $("metronome").addEventListener("click", () => this.setMetronome(!this.metronome.on));
    // Some phones stop the sound of a page that is not seen, and let it go on afterwards.
    document.addEventListener("visibilitychange", () => {
      if (this.speaker && document.visibilityState === "visible") this.audio.resume().catch(() => {});
    });
    this.showButton("off");
  }

  press() {
    if (!this.speaker) this.start();
    else if (this.audio.state !== "running") this.audio.resume();
    else this.stop();
  }

  // Called by a touch: browsers start sound only then.
  start() {
    // The switch for silence of an iPhone then does not silence the page.
    if (navigator.audioSession) navigator.audioSession.type = "playback";
    this.audio = this.context();
    this.audio.resume();
    this.clock = new SessionClock({ send: (message) => this.link.send(message) });
    this.speaker = new Speaker({
      audioContext: this.audio,
      clock: this.clock,
      fetchSong: (song, signal) => this.fetchSong(song, signal),
      onStatus: (status) => this.show(status),
    });
    this.metronome = new Metronome(this.speaker);
    this.sweeps = new Sweeps(this.speaker);
    $("listening").hidden = false;
    this.setVolume();
    this.useLater();
    this.setMetronome(false);
    this.ask();
  }

  stop() {
    this.link.send({ type: "listen", on: false, uncertainty_ms: null });
    this.clock.stop();
    this.metronome.stop();
    this.sweeps.end();
    this.speaker.stop();
    this.audio.close();
    this.speaker = null;
    $("listening").hidden = true;
    this.showButton("off");
  }

  // Have the host tell its timeline, and measure its clock.
  ask() {
    this.told_ms = null;
    this.link.send({ type: "listen", on: true, uncertainty_ms: null });
    this.clock.start();
  }

  follow(timeline) {
    if (this.speaker) this.speaker.follow(timeline);
  }

  async fetchSong(song, signal) {
    const answer = await fetch(song.url, { headers: { Authorization: `Bearer ${this.link.token}` }, signal });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return answer.arrayBuffer();
  }

  setVolume() {
    if (this.speaker) this.speaker.setVolume(Math.pow($("listen-volume").value / 100, 2));
  }

  // A microphone hears all loudspeakers: nothing else may sound.
  playSweeps(message) {
    this.setMetronome(false);
    this.sweeps.play(message);
  }

  // How much later than by the clocks this output is to play: set by the user's ear, or by a microphone.
  laterMs() {
    return load(`later.${$("align-output").value}`, 0);
  }

  step(step_ms) {
    this.setLater(this.laterMs() + step_ms, false);
    this.link.send({ type: "listen", on: true, uncertainty_ms: this.told_ms, by_ear: true });
  }

  setLater(later_ms, isHeard) {
    const kept_ms = Math.max(-MAX_LATER_MS, Math.min(MAX_LATER_MS, Math.round(later_ms * 10) / 10));
    save(`later.${$("align-output").value}`, kept_ms);
    save(`heard.${$("align-output").value}`, isHeard);
    this.useLater();
  }

  useLater() {
    const kept_ms = this.laterMs();
    if (this.speaker) this.speaker.setLater(kept_ms);
    setText($("align-value"), say("align_value", { ms: kept_ms > 0 ? `+${kept_ms}` : `${kept_ms}`.replace("-", "−") }));
  }

  setMetronome(on) {
    if (on) this.metronome.start();
    else this.metronome.stop();
    $("metronome").setAttribute("aria-pressed", String(on));
  }

  show(status) {
    if (!this.speaker) return;
    this.showButton(status.state === "tap" ? "tap" : "on");
    setText($("listen-state"), this.sentence(status));
    const now_ms = performance.now();
    const shown_ms = Number.isFinite(status.uncertaintyMs) ? roundedMs(status.uncertaintyMs) : null;
    if (shown_ms === null || shown_ms === this.told_ms || now_ms < this.told_at_ms + TOLD_EVERY_MS) return;
    if (!this.link.send({ type: "listen", on: true, uncertainty_ms: shown_ms })) return;
    this.told_ms = shown_ms;
    this.told_at_ms = now_ms;
  }

  sentence(status) {
    if (this.sweeps.plan && status.state === "silent") return say("listen_calibrating");
    if (status.state !== "playing") return say(SENTENCES[status.state]);
    if (status.output === "unknown") {
      if (load(`heard.${$("align-output").value}`, false)) return say("listen_heard");
      return say(this.laterMs() ? "listen_by_ear" : "listen_unknown");
    }
    return say("listen_playing", { ms: roundedMs(Math.hypot(status.uncertaintyMs, status.errorMs)) });
  }

  showButton(state) {
    $("listen").setAttribute("aria-pressed", String(state !== "off"));
    setText($("listen-text"), say({ off: "listen", tap: "listen_go_on", on: "listen_stop" }[state]));
  }
}
