// One song that sounds, or will: an AudioBufferSourceNode whose position is known at each time of its context.

// Browsers read the playback rate once in a quantum of this many frames. Changes at the beginning of one are exact.
const QUANTUM_FRAMES = 128;
const FADE_S = 0.005;

export class Voice {
  // Play `buffer` from its frame `frame` on at the context's time `whenS`, a whole frame. `positionS`: the song's
  // position there; it ends at `endPositionS`. Positions and times in s.
  constructor({ context, destination, buffer, frame, whenS, positionS, endPositionS, rate, gain }) {
    this.context = context;
    this.whenS = whenS;
    this.knots = [{ atS: whenS, positionS, rate }];
    this.ended = false;
    this.gain = context.createGain();
    this.gain.gain.value = 0;
    this.gain.connect(destination);
    this.levels([[whenS, 0], [whenS + FADE_S, gain]]);
    this.source = context.createBufferSource();
    this.source.buffer = buffer;
    this.source.playbackRate.value = rate;
    this.source.connect(this.gain);
    this.source.onended = () => {
      this.ended = true;
      this.gain.disconnect();
    };
    this.source.start(whenS, frame / buffer.sampleRate, endPositionS - positionS);
  }

  get rate() {
    return this.knots[this.knots.length - 1].rate;
  }

  positionS(atS) {
    const knot = this.knots.slice().reverse().find((one) => one.atS <= atS) || this.knots[0];
    return knot.positionS + (atS - knot.atS) * knot.rate;
  }

  // The context's time at which the song is at `positionS`.
  atS(positionS) {
    const knot = this.knots[this.knots.length - 1];
    return knot.atS + (positionS - knot.positionS) / knot.rate;
  }

  setRate(rate, afterS) {
    const quantumS = QUANTUM_FRAMES / this.context.sampleRate;
    const last = this.knots[this.knots.length - 1];
    const number = Math.ceil(Math.max(afterS, last.atS + quantumS) / quantumS);
    const atS = number * quantumS;
    // A little before the boundary: a rounding error must not move the change to the next quantum.
    this.source.playbackRate.setValueAtTime(rate, atS - 0.25 / this.context.sampleRate);
    this.knots = [last, { atS, positionS: this.positionS(atS), rate }];
  }

  // Go along a line of [context time, level]; nothing that was planned behind its beginning remains.
  levels(line) {
    const { gain } = this.gain;
    gain.cancelScheduledValues(line[0][0]);
    gain.setValueAtTime(line[0][1], line[0][0]);
    for (const [atS, level] of line.slice(1)) gain.linearRampToValueAtTime(level, atS);
  }

  // Fall silent at the context's time `atS`, at once if it is past.
  stop(atS) {
    const endS = Math.max(atS, this.context.currentTime + 2 * FADE_S);
    const level = this.gain.gain;
    const fromS = Math.max(endS - FADE_S, this.whenS + FADE_S);
    level.cancelScheduledValues(fromS);
    level.setTargetAtTime(0, endS - FADE_S, FADE_S / 3);
    try {
      this.source.stop(endS + FADE_S);
    } catch (error) {
      this.ended = true; // a source that has ended
    }
  }
}
