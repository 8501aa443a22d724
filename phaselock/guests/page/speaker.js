// The page as a loudspeaker: it follows the host's timeline with Web Audio.
//
//   song position --timeline--> session time --SessionClock--> own time --OutputClock--> context time
//
// Each song is a Voice that starts on a whole frame. Its error is the distance of its position from the one that this
// chain wants; small changes of the playback rate remove it.
import { OutputClock } from "/output.js";
import { Songs } from "/songs.js";
import { Voice } from "/voice.js";

const TICK_MS = 100;
// A song is started so long before it sounds: the start is exact even if the page's timers are late.
const AHEAD_S = 1.2;
const MIN_AHEAD_S = 0.08;
// An error is removed within about this time, with at most this change of the rate (1.7 cents), which grows slowly.
const CORRECTION_S = 3;
const MAX_CHANGE = 1e-3;
const MAX_CHANGE_STEP = 1e-4;
// Control once in so many ticks.
const CONTROL_TICKS = 3;
// Errors that a jump removes: at once, or where they stay.
const JUMP_S = 0.05;
const LASTING_JUMP_S = 0.003;
const LASTING_CONTROLS = 4;
// A song whose beginning nearly meets the end of the one before follows it without a gap.
const GAPLESS_S = 0.005;
const FADE_STEPS = 24;
// The playing song and the next one: a phone has little memory.
const KEPT_SONGS = 2;

function clamp(value, limit) {
  return Math.max(-limit, Math.min(limit, value));
}

function levelOf(plan) {
  return Math.pow(10, plan.gain_db / 20);
}

function keyOf(plan) {
  return `${plan.id} ${plan.start_session_ns} ${plan.start_frame}`;
}

export class Speaker {
  // `clock`: a SessionClock. `fetchSong(song, signal)` resolves to the song's file. `onStatus(status)`: see status.
  constructor({ audioContext, clock, fetchSong, onStatus = () => {} }) {
    this.context = audioContext;
    this.clock = clock;
    this.onStatus = onStatus;
    this.songs = new Songs({ audioContext, fetchSong, now: clock.now });
    this.output = new OutputClock({ audioContext, now: clock.now, halfStepMs: clock.halfStepMs });
    this.volume = audioContext.createGain();
    this.volume.connect(audioContext.destination);
    this.timeline = { songs: [], current: null, then: null };
    this.voices = new Map(); // keyOf(plan) -> {voice, plan, lasting}
    this.laterMs = 0;
    this.ticks = 0;
    this.errorS = null;
    this.wasRunning = false;
    this.onState = () => this.tick();
    audioContext.addEventListener("statechange", this.onState);
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  // The newest "timeline" message of the server.
  follow(timeline) {
    this.timeline = timeline;
    this.tick();
  }

  // Play so much later than by the clocks: what the user has set by ear. Ms, also negative.
  setLater(laterMs) {
    this.laterMs = laterMs;
  }

  // From 0 to 1.
  setVolume(volume) {
    this.volume.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
  }

  stop() {
    clearInterval(this.timer);
    this.context.removeEventListener("statechange", this.onState);
    this.retireAll();
    this.songs.want([]);
  }

  // The context's time at which the session's time (ms) is at the loudspeaker, and the inverse.
  contextS(sessionMs) {
    return this.output.contextS(this.clock.localFromSessionMs(sessionMs + this.laterMs));
  }

  sessionMs(contextS) {
    return this.clock.sessionMs(this.output.localMs(contextS)) - this.laterMs;
  }

  // What this loudspeaker knows of itself:
  //   state          "tap" (the browser waits for a touch), "clock", "output", "fetching", "failed", "too long",
  //                  "silent" (nothing is to be played), "starting" or "playing"
  //   errorMs        the distance from the wanted position by its own clocks; null while nothing sounds
  //   uncertaintyMs  how wrong these clocks may be; Infinity while unknown
  //   output         which account of the browser tells the output's time: see output.js
  status() {
    const uncertaintyMs = Math.hypot(this.clock.uncertaintyMs(), this.output.uncertaintyMs()) + this.unsureMs();
    return {
      state: this.state(),
      errorMs: this.errorS === null ? null : this.errorS * 1e3,
      uncertaintyMs,
      output: this.output.kind,
    };
  }

  state() {
    const { current } = this.timeline;
    if (this.context.state !== "running") return "tap";
    if (!current || this.isOver(current)) return "silent";
    const song = this.songs.get(current.id);
    if (song && song.state !== "ready") return song.state;
    if (!song) return "fetching";
    if (!this.clock.usable) return "clock";
    if (!this.output.usable) return "output";
    return this.errorS === null ? "starting" : "playing";
  }

  // Where the decoded length did not prove where the song begins.
  unsureMs() {
    const current = this.timeline.current;
    const kept = current && this.songs.get(current.id);
    return kept && kept.state === "ready" ? kept.unsureS * 1e3 : 0;
  }

  songOf(plan) {
    return this.timeline.songs.find((song) => song.id === plan.id);
  }

  isOver(plan) {
    if (!this.clock.usable) return false;
    const nowMs = this.clock.sessionMs(this.clock.localMs());
    if (plan.stop_session_ns !== null && this.clock.fromText(plan.stop_session_ns) <= nowMs) return true;
    const song = this.songOf(plan);
    return !song || this.endMs(plan, song) <= nowMs;
  }

  startMs(plan) {
    return this.clock.fromText(plan.start_session_ns);
  }

  endMs(plan, song) {
    return this.startMs(plan) + ((song.frames - plan.start_frame) / song.rate_hz) * 1e3;
  }

  // The song's position, in s, that is to be at the loudspeaker at the context's time.
  wantedS(plan, song, contextS) {
    return plan.start_frame / song.rate_hz + (this.sessionMs(contextS) - this.startMs(plan)) / 1e3;
  }

  tick() {
    this.ticks++;
    const plans = [this.timeline.current, this.timeline.then].filter((plan) => plan && this.songOf(plan));
    this.songs.want(this.timeline.songs.slice(0, KEPT_SONGS));
    const isRunning = this.context.state === "running";
    if (isRunning !== this.wasRunning) {
      this.wasRunning = isRunning;
      this.output.clear();
      this.retireAll();
    }
    if (isRunning) this.output.sample();
    if (isRunning && this.clock.usable && this.output.usable) {
      this.retire(plans);
      for (const plan of plans) this.play(plan);
      if (this.ticks % CONTROL_TICKS === 0) this.control();
    }
    this.onStatus(this.status());
  }

  retireAll() {
    for (const { voice } of this.voices.values()) voice.stop(0);
    this.voices.clear();
    this.errorS = null;
  }

  // End the voices that are no longer planned: where the plan that replaces them starts.
  retire(plans) {
    const keys = new Set(plans.map(keyOf));
    for (const [key, { voice, plan }] of this.voices) {
      if (keys.has(key) && !voice.ended) continue;
      if (!voice.ended) {
        const endS = this.endOfReplaced(plan);
        if (endS > this.context.currentTime + AHEAD_S) continue; // it fades out
        voice.stop(endS);
      }
      if (!keys.has(key)) this.voices.delete(key);
    }
  }

  // The context's time at which a voice ends that is not planned any more; 0: at once.
  endOfReplaced(plan) {
    const { current } = this.timeline;
    if (!current) return 0;
    if (current.stop_session_ns !== null) return this.contextS(this.clock.fromText(current.stop_session_ns));
    if (plan.fade_out) return this.contextS(this.fadeEndMs(plan));
    return this.voices.has(keyOf(current)) ? 0 : this.contextS(this.startMs(current));
  }

  fadeEndMs(plan) {
    return this.clock.fromText(plan.fade_out.begin_session_ns) + Number(plan.fade_out.length_ns) / 1e6;
  }

  play(plan) {
    const song = this.songOf(plan);
    const kept = this.songs.get(plan.id);
    const playing = this.voices.get(keyOf(plan));
    if (playing) {
      playing.plan = plan;
      this.update(playing);
      return;
    }
    if (!kept || kept.state !== "ready" || this.isOver(plan)) return;
    const { context } = this;
    const startS = this.contextS(this.startMs(plan));
    if (startS > context.currentTime + AHEAD_S) return;
    this.start(plan, song, kept, this.gapless(plan, startS));
  }

  // Where the song before ends, if that is where this one starts; `startS` otherwise.
  gapless(plan, startS) {
    for (const { voice, plan: before } of this.voices.values()) {
      const song = this.songOf(before);
      if (!song || before.stop_session_ns !== null || before.fade_out || before.id === plan.id) continue;
      const endS = voice.atS(song.frames / song.rate_hz);
      if (Math.abs(endS - startS) < GAPLESS_S) return endS;
    }
    return startS;
  }

  start(plan, song, kept, startS) {
    const { context } = this;
    const { sampleRate } = context;
    const isLate = startS < context.currentTime + MIN_AHEAD_S;
    const whenS = Math.ceil(Math.max(startS, context.currentTime + MIN_AHEAD_S) * sampleRate) / sampleRate;
    const wantedS = isLate ? this.wantedS(plan, song, whenS) : plan.start_frame / song.rate_hz + (whenS - startS);
    const frame = Math.round((kept.leadS + wantedS) * sampleRate);
    if (frame < 0 || frame >= kept.buffer.length) return;
    const voice = new Voice({
      context,
      destination: this.volume,
      buffer: kept.buffer,
      frame,
      whenS,
      positionS: frame / sampleRate - kept.leadS,
      endPositionS: song.frames / song.rate_hz,
      rate: this.nominalRate(whenS),
      gain: levelOf(plan),
    });
    const playing = { voice, plan, lasting: 0, stop: null, fade: "" };
    this.voices.set(keyOf(plan), playing);
    const riseS = Number(plan.crossfade_ns) / 1e9;
    if (riseS) this.fade(voice, startS, riseS, (part) => levelOf(plan) * part);
    this.update(playing);
  }

  // What the plan has got since its voice began: an end, or a fade into the next song.
  update(playing) {
    const { voice, plan } = playing;
    const fade = plan.fade_out ? plan.fade_out.begin_session_ns : "";
    if (fade !== playing.fade) {
      playing.fade = fade;
      if (fade) {
        const lengthS = Number(plan.fade_out.length_ns) / 1e9;
        const beginS = this.contextS(this.clock.fromText(fade));
        this.fade(voice, beginS, lengthS, (part) => levelOf(plan) * (1 - part));
      } else {
        const nowS = this.context.currentTime;
        voice.levels([[nowS, voice.gain.gain.value], [nowS + MIN_AHEAD_S, levelOf(plan)]]);
      }
    }
    if (plan.stop_session_ns !== playing.stop) {
      playing.stop = plan.stop_session_ns;
      voice.stop(this.contextS(this.clock.fromText(plan.stop_session_ns)));
    }
  }

  // A fade at equal power. `level(part)`: the level for a part (0 to 1) in power of a rising fade.
  fade(voice, beginS, lengthS, level) {
    const falls = level(0) > level(1);
    const line = [];
    for (let step = 0; step <= FADE_STEPS; step++) {
      const turn = ((Math.PI / 2) * step) / FADE_STEPS;
      line.push([beginS + (lengthS * step) / FADE_STEPS, level(falls ? 1 - Math.cos(turn) : Math.sin(turn))]);
    }
    const fromS = Math.max(voice.whenS, this.context.currentTime);
    const left = line.filter(([atS]) => atS > fromS);
    if (left.length === line.length) voice.levels(line);
    else if (left.length) voice.levels([[fromS, line[line.length - left.length - 1][1]], ...left]);
  }

  // How fast the song goes by the context's time: both clocks and the sound card differ by some ppm.
  nominalRate(contextS) {
    return 1 + clamp((this.sessionMs(contextS + 1) - this.sessionMs(contextS)) / 1e3 - 1, MAX_CHANGE);
  }

  control() {
    this.errorS = null;
    const atS = this.context.currentTime + 2 * MIN_AHEAD_S;
    for (const [key, playing] of this.voices) {
      const { voice, plan } = playing;
      const song = this.songOf(plan);
      if (voice.ended || voice.whenS > atS || !song) continue;
      const errorS = voice.positionS(atS) - this.wantedS(plan, song, atS);
      if (plan === this.timeline.current) this.errorS = errorS;
      playing.lasting = Math.abs(errorS) > LASTING_JUMP_S ? playing.lasting + 1 : 0;
      if (Math.abs(errorS) > JUMP_S || playing.lasting > LASTING_CONTROLS) {
        this.voices.delete(key);
        this.play(plan); // where it should be
        const next = this.voices.get(key);
        voice.stop(next ? next.voice.whenS : 0);
        continue;
      }
      const wanted = this.nominalRate(atS) - clamp(errorS / CORRECTION_S, MAX_CHANGE);
      voice.setRate(voice.rate + clamp(wanted - voice.rate, MAX_CHANGE_STEP), atS - MIN_AHEAD_S);
    }
  }
}
