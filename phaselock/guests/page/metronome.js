// Ticks at every whole second of the session, on all phones at once: what an alignment by ear is judged by.

const EVERY_MS = 1000;
const AHEAD_S = 0.8;
const LOOK_MS = 200;
const TICK_HZ = 1500;
const TICK_S = 0.012;

export class Metronome {
  constructor(speaker) {
    this.speaker = speaker;
    this.on = false;
    this.timer = null;
    const { context } = speaker;
    this.tick = context.createBuffer(1, Math.round(context.sampleRate * TICK_S), context.sampleRate);
    const frames = this.tick.getChannelData(0);
    for (let n = 0; n < frames.length; n++) {
      const at_s = n / context.sampleRate;
      frames[n] = 0.8 * Math.sin(2 * Math.PI * TICK_HZ * at_s) * Math.exp((-5 * at_s) / TICK_S);
    }
  }

  start() {
    this.stop();
    this.on = true;
    this.last = -Infinity;
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  stop() {
    this.on = false;
    clearInterval(this.timer);
  }

  // Plan the ticks of the next moment.
  look() {
    const { speaker } = this;
    const { clock, context, output } = speaker;
    if (context.state !== "running" || !clock.usable || !output.usable) return;
    // The session's whole seconds, as times after the clock's base.
    const beginMs = clock.fromText(`${clock.base.slice(0, -9)}000000000`);
    const nowMs = speaker.sessionMs(context.currentTime + 0.05);
    for (let number = Math.ceil((nowMs - beginMs) / EVERY_MS); ; number++) {
      const atS = speaker.contextS(beginMs + number * EVERY_MS);
      if (atS > context.currentTime + AHEAD_S) return;
      if (number <= this.last) continue;
      this.last = number;
      const source = context.createBufferSource();
      source.buffer = this.tick;
      source.connect(speaker.volume);
      source.start(atS);
    }
  }
}
