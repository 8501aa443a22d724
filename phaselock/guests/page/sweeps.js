// The sounds of a calibration: by them a microphone hears how late this phone is. Each is an exponential sweep, as in
// audio/sweeps.py, and starts by the same clocks as the music.

const AHEAD_S = 0.8;
const LOOK_MS = 100;
// A pass whose end the host has not told is over so long after its last sound.
const OVER_MS = 2000;

// One sweep of a "sweep" message at the rate `sampleRate`: frames of one channel.
export function sweepFrames(plan, sampleRate) {
  const growthS = plan.length_ns / 1e9 / Math.log(plan.high_hz / plan.low_hz);
  const lastS = plan.length_ns / 1e9 - 1 / plan.rate_hz;
  const fadeS = plan.fade_ns / 1e9;
  const frames = new Float32Array(Math.floor(lastS * sampleRate + 1e-6) + 1);
  for (let frame = 0; frame < frames.length; frame++) {
    const elapsedS = plan.upward ? frame / sampleRate : lastS - frame / sampleRate;
    const edge = Math.min(1, elapsedS / fadeS, (lastS - elapsedS) / fadeS);
    const gain = plan.level * (0.5 - 0.5 * Math.cos(Math.PI * edge));
    frames[frame] = gain * Math.sin(2 * Math.PI * plan.low_hz * growthS * Math.expm1(elapsedS / growthS));
  }
  return frames;
}

export class Sweeps {
  constructor(speaker) {
    this.speaker = speaker;
    this.plan = null;
    this.timer = null;
  }

  // Play the sounds of a "sweep" message.
  play(plan) {
    this.end();
    const { context } = this.speaker;
    const frames = sweepFrames(plan, context.sampleRate);
    this.buffer = context.createBuffer(1, frames.length, context.sampleRate);
    this.buffer.getChannelData(0).set(frames);
    this.plan = plan;
    this.sources = [];
    this.timer = setInterval(() => this.look(), LOOK_MS);
    this.look();
  }

  end() {
    clearInterval(this.timer);
    if (this.plan) for (const source of this.sources) source.stop();
    this.plan = null;
  }

  look() {
    const { plan, speaker } = this;
    const { clock, context, output } = speaker;
    if (!clock.usable) return;
    const beginMs = clock.fromText(plan.begin_session_ns) - plan.late_ns / 1e6;
    const startsMs = plan.starts_ns.map((startNs) => beginMs + startNs / 1e6);
    if (clock.sessionMs(clock.localMs()) > startsMs[startsMs.length - 1] + OVER_MS) {
      this.end();
    } else if (!this.sources.length && context.state === "running" && output.usable) {
      const startsS = startsMs.map((startMs) => speaker.contextS(startMs));
      if (startsS[0] < context.currentTime + AHEAD_S) this.start(startsS);
    }
  }

  // Plan all sounds at once: the repeats must agree, and the clocks' estimates move a little between them. A sound that
  // is late already is left out: it would be measured where it is not.
  start(startsS) {
    const { context, volume } = this.speaker;
    for (const startS of startsS) {
      const whenS = Math.round(startS * context.sampleRate) / context.sampleRate;
      if (whenS <= context.currentTime) continue;
      const source = context.createBufferSource();
      source.buffer = this.buffer;
      source.connect(volume);
      source.start(whenS);
      this.sources.push(source);
    }
  }
}
