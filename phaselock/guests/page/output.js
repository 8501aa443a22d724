// When does a frame leave this machine's loudspeaker? A line from the time of an AudioContext to performance.now(),
// fitted to what the browser tells.
//
// Browsers tell it in different ways, and not all of them truly. What they prove decides, not their names:
//   stamp          getOutputTimestamp() lags behind currentTime by the output latency, as it should.
//   stamp+latency  It does not lag, although outputLatency says that there is a latency: so both are added.
//   latency        There is no time stamp: currentTime and outputLatency. Both move in blocks.
//   unknown        Only currentTime is known. The latency is not.
import { fitAt, fitDeviation, fitRobust, median } from "/envelope.js";

const WINDOW_MS = 60e3;
const MIN_POINTS = 8;
// A fit of many points costs a phone milliseconds, and a new point changes it little.
const MANY_POINTS = 50;
const REFIT_EVERY = 5;
// While the sound starts, the accounts move by up to hundreds of ms. Firefox keeps the first latency that it is asked
// for, so it is not asked before currentTime has kept pace with own time for a while, apart from its blocks.
const CALM_MS = 1000;
const CALM_SPAN_MS = 40;
const MAX_WAIT_MS = 8000;
// Sound cards run apart from the machine's clock by less than this.
const CARDS = { slope: 0, slopeSd: 50e-6 };
const CORRELATED_POINTS = 100;
// An account that leaves the line (the sound stopped for a moment, other loudspeakers were chosen) starts a new one:
// after a few points that are far away, or after two seconds of points that are nearer. A sound server's own account
// needs seconds until it is exact.
const STEP_POINTS = 5;
const SMALL_STEP_POINTS = 20;
// Of the accounts: the least step that counts as one, and by how much the account is wrong where it was measured.
const STEP_MS = { stamp: 4, "stamp+latency": 15, latency: 40, unknown: 40 };
const ERROR_MS = { stamp: 2, "stamp+latency": 8, latency: 15, unknown: 100 };
// Latencies below this prove nothing about the time stamp.
const MIN_PROOF_MS = 4;

export class OutputClock {
  constructor({ audioContext, now = () => performance.now(), halfStepMs = 0 }) {
    this.context = audioContext;
    this.now = now;
    this.halfStepMs = halfStepMs;
    this.clear();
  }

  // Forget the line: the sound was interrupted.
  clear() {
    this.samples = []; // {localMs, currentS, stampMs, stampS, latencyMs}, oldest first
    this.fit = null;
    this.kind = "unknown";
    this.paces = []; // [own time, currentTime minus own time] in ms, until they are calm
    this.isCalm = false;
    this.asked = 0;
  }

  // Ask the browser; call it about ten times a second.
  sample() {
    if (this.context.state !== "running" || !this.becomesCalm()) return;
    const currentS = this.context.currentTime;
    const stamp = this.context.getOutputTimestamp ? this.context.getOutputTimestamp() : {};
    const localMs = this.now() + this.halfStepMs;
    const stampAgeMs = localMs - stamp.performanceTime;
    const isStamp = stamp.performanceTime > 0 && stamp.contextTime > 0 && Math.abs(stampAgeMs) < 2e3;
    const latencyMs = this.context.outputLatency * 1e3;
    this.samples.push({
      localMs,
      currentS,
      stampMs: isStamp ? stamp.performanceTime + this.halfStepMs : null,
      stampS: stamp.contextTime,
      latencyMs: latencyMs > 0 ? latencyMs : null,
    });
    while (this.samples[0].localMs < localMs - WINDOW_MS) this.samples.shift();
    this.asked++;
    if (this.fit && this.hasStepped()) return;
    if (this.samples.length > MANY_POINTS && this.asked % REFIT_EVERY) return;
    this.choose();
    this.refit();
  }

  becomesCalm() {
    if (this.isCalm) return true;
    const nowMs = this.now();
    if (!this.paces.length) this.firstMs = nowMs;
    this.paces.push([nowMs, this.context.currentTime * 1e3 - nowMs]);
    while (this.paces[1] && this.paces[1][0] <= nowMs - CALM_MS) this.paces.shift();
    const leads = this.paces.map(([, leadMs]) => leadMs);
    const isWhole = nowMs - this.paces[0][0] >= CALM_MS;
    const isSteady = isWhole && Math.max(...leads) - Math.min(...leads) < CALM_SPAN_MS;
    this.isCalm = isSteady || nowMs > this.firstMs + MAX_WAIT_MS;
    return this.isCalm;
  }

  choose() {
    const stamped = this.samples.filter((one) => one.stampMs !== null);
    const told = this.samples.filter((one) => one.latencyMs !== null);
    const latencyMs = told.length ? median(told.map((one) => one.latencyMs)) : 0;
    let kind = latencyMs ? "latency" : "unknown";
    if (stamped.length * 2 > this.samples.length) {
      const lagMs = median(stamped.map((one) => one.currentS * 1e3 - (one.stampS * 1e3 + one.localMs - one.stampMs)));
      if (lagMs >= Math.max(MIN_PROOF_MS, latencyMs / 2)) kind = "stamp";
      else if (latencyMs >= MIN_PROOF_MS) kind = "stamp+latency";
      else kind = latencyMs ? "stamp" : "unknown";
    }
    this.kind = kind;
  }

  // A sample as [x, y]: x is own time, y is the context's time at the loudspeaker minus own time, both in ns.
  point(one) {
    const stamped = this.kind.startsWith("stamp") && one.stampMs !== null;
    const added = this.kind === "stamp" || this.kind === "unknown" ? 0 : one.latencyMs || 0;
    const x = stamped ? one.stampMs : one.localMs;
    const heard = (stamped ? one.stampS : one.currentS) * 1e3 - added;
    return [x * 1e6, (heard - x) * 1e6];
  }

  refit() {
    if (this.samples.length >= MIN_POINTS) this.fit = fitRobust(this.points(), CARDS, CORRELATED_POINTS);
  }

  points() {
    return this.samples.map((one) => this.point(one));
  }

  // True if the newest points lie apart from the line: then it is replaced by theirs.
  hasStepped() {
    const limit = STEP_MS[this.kind];
    for (const [count, limitMs] of [[STEP_POINTS, limit], [SMALL_STEP_POINTS, limit / 5]]) {
      if (this.samples.length <= count) return false;
      const newest = this.samples.slice(-count).map((one) => this.point(one));
      const away = newest.map(([x, y]) => (y - fitAt(this.fit, x)) / 1e6);
      if (!away.every((one) => one > limitMs) && !away.every((one) => one < -limitMs)) continue;
      this.samples = this.samples.slice(-count);
      this.fit = fitRobust(newest, CARDS, CORRELATED_POINTS);
      return true;
    }
    return false;
  }

  get usable() {
    return this.fit !== null;
  }

  // Own time, in ms, at which the context's time `contextS` is at the loudspeaker.
  localMs(contextS) {
    const { slope, meanX } = this.fit;
    const atMean = meanX + fitAt(this.fit, meanX);
    return (meanX + (contextS * 1e9 - atMean) / (1 + slope)) / 1e6;
  }

  // The inverse of localMs.
  contextS(localMs) {
    const x = localMs * 1e6;
    return (x + fitAt(this.fit, x)) / 1e9;
  }

  uncertaintyMs() {
    if (!this.fit) return Infinity;
    return ERROR_MS[this.kind] + (2 * fitDeviation(this.fit, (this.now() + this.halfStepMs) * 1e6)) / 1e6;
  }
}
