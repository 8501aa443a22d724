// The session's clock, from pings over the page's WebSocket: a port of the envelope of ext/pl_filter.c.
//
// The server's times are decimal strings of ns, about 1.8e18: a JavaScript number cannot hold them. So they are read as
// doubles relative to the first one. This machine's times are performance.now(), in ms.
import { Bend } from "/bend.js";
import { Hull, fitAt, fitDeviation, fitTwo } from "/envelope.js";

const WINDOW_NS = 60e9;
const BUCKET_NS = 50e6;
const CRYSTALS = { slope: 0, slopeSd: 50e-6 };
const STEP_EXCHANGES = 6;
const MAX_SUSPECTS = 24;
const MIN_STEP_NS = 100e3;
const STEP_SDS = 8;
const MIN_PRIOR_SD = 0.5e-6;
const MIN_HALF_GAP_NS = 1e3;
// How fast a clock may leave its line while it is not measured, a ratio (as in phaselock/sync/clock.py).
const WANDER = 0.05e-6;

// A decimal string of ns as whole seconds and the rest: both exact.
function parts(text) {
  const negative = text[0] === "-";
  const digits = negative ? text.slice(1) : text;
  const seconds = Number(digits.slice(0, -9) || "0");
  const ns = Number(digits.slice(-9));
  return negative ? [-seconds, -ns] : [seconds, ns];
}

// The decimal string `text` minus the decimal string `base`, in ns.
export function nsSince(text, base) {
  const [seconds, ns] = parts(text);
  const [baseSeconds, baseNs] = parts(base);
  return (seconds - baseSeconds) * 1e9 + (ns - baseNs);
}

// From exchanges to the offset host - own. All times in ns, relative to bases of the caller's own.
export class ClockFilter {
  constructor() {
    this.forward = new Hull(WINDOW_NS, BUCKET_NS);
    this.backward = new Hull(WINDOW_NS, BUCKET_NS);
    this.bend = new Bend();
    this.prior = CRYSTALS;
    this.fit = null;
    this.recent = []; // the newest STEP_EXCHANGES exchanges, as points
    this.samples = 0;
    this.sound = null; // the newest line that no exchange of a step has moved
    this.soundSamples = 0; // exchanges before it
    this.steps = 0;
    this.lastNs = -Infinity;
    this.baseLocalNs = 0;
    this.baseOffsetNs = 0;
  }

  // Add one exchange. False when its times contradict each other: then it is ignored.
  add(sendNs, hostReceiveNs, hostSendNs, receiveNs) {
    if (receiveNs < sendNs || hostSendNs < hostReceiveNs) return false;
    if (receiveNs - sendNs < hostSendNs - hostReceiveNs || receiveNs < this.lastNs) return false;
    if (!this.samples) {
      this.baseLocalNs = sendNs;
      const backward = hostSendNs - receiveNs;
      this.baseOffsetNs = backward + Math.trunc((hostReceiveNs - sendNs - backward) / 2);
    }
    this.lastNs = receiveNs;
    const point = {
      forwardX: sendNs - this.baseLocalNs,
      forwardY: hostReceiveNs - sendNs - this.baseOffsetNs,
      backwardX: receiveNs - this.baseLocalNs,
      backwardY: hostSendNs - receiveNs - this.baseOffsetNs,
    };
    this.samples++;
    this.recent.push(point);
    if (this.recent.length > STEP_EXCHANGES) this.recent.shift();
    this.addPoint(point);
    return true;
  }

  addPoint(p) {
    const slope = this.fit ? this.fit.slope : this.prior.slope;
    this.forward.add(p.forwardX, p.forwardY, slope);
    this.backward.add(p.backwardX, -p.backwardY, -slope);
    this.bend.add(p.forwardX, p.forwardY, p.backwardX, -p.backwardY, slope);
  }

  // Whether the newest exchanges show a step of a clock, and whether fewer than STEP_EXCHANGES do.
  findStep() {
    if (!this.sound) return { stepped: false, suspected: false };
    const newer = this.samples - this.soundSamples;
    const sd = fitDeviation(this.sound, this.lastNs - this.baseLocalNs);
    const tolerance = Math.max(MIN_STEP_NS, STEP_SDS * sd);
    let forward = Infinity;
    let backward = Infinity;
    let shows = false;
    let suspected = false;
    for (const p of this.recent.slice(-newer).reverse()) {
      suspected = suspected || shows;
      forward = Math.min(forward, p.forwardY - fitAt(this.sound, p.forwardX));
      backward = Math.min(backward, fitAt(this.sound, p.backwardX) - p.backwardY);
      const lower = Math.min(forward, backward);
      const higher = Math.max(forward, backward);
      shows = lower <= this.sound.halfGap - tolerance && higher >= this.sound.halfGap + tolerance / 2;
    }
    const stepped = newer >= STEP_EXCHANGES && shows;
    return { stepped, suspected: !stepped && (suspected || shows) && newer <= MAX_SUSPECTS };
  }

  // After a step, restart the line with the newest exchanges; the drift known so far is its prior.
  step() {
    this.prior = { slope: this.sound.slope, slopeSd: Math.max(this.sound.slopeSd, MIN_PRIOR_SD) };
    this.fit = null;
    this.forward.clear();
    this.backward.clear();
    for (const point of this.recent) this.addPoint(point);
    this.steps++;
  }

  // {localNs, offsetNs, drift, uncertaintyNs, driftUncertainty} at own time `nowNs`; null while there is none.
  map(nowNs) {
    const prior = this.fit && this.bend.find(this.fit, this.forward, this.backward);
    if (prior) {
      this.prior = prior;
      this.sound = this.fit = fitTwo(this.forward, this.backward, prior);
    }
    const { stepped, suspected } = this.findStep();
    if (stepped) this.step();
    this.forward.flush();
    this.backward.flush();
    const fit = fitTwo(this.forward, this.backward, this.prior);
    if (!fit) return null;
    this.fit = fit;
    if (!suspected) {
      this.sound = fit;
      this.soundSamples = this.samples;
    }
    const x = nowNs - this.baseLocalNs;
    const halfGapNs = Math.max(Math.abs(fit.halfGap), MIN_HALF_GAP_NS);
    const boundNs = halfGapNs + Math.abs(fit.slopeSd * (x - fit.meanX));
    const sd = fitDeviation(fit, x);
    return {
      localNs: nowNs,
      offsetNs: this.baseOffsetNs + Math.trunc(fitAt(fit, x)),
      drift: fit.slope,
      uncertaintyNs: Math.min(Number.isFinite(sd) ? sd : halfGapNs, boundNs),
      driftUncertainty: fit.slopeSd,
    };
  }
}

// The step of performance.now(), in ms: browsers round it down, by their settings to 5 us, 100 us or 1 ms.
export function timerStepMs(now = () => performance.now()) {
  let least = Infinity;
  const begin = now();
  for (let last = begin, seen = 0; seen < 20 && last - begin < 30; ) {
    const next = now();
    if (next > last) {
      least = Math.min(least, next - last);
      seen++;
    }
    last = next;
  }
  return Number.isFinite(least) ? least : 1;
}

// When to ping: a burst at first, then a few pings each second. Each ping follows the answer of the one before, or
// PING_MS. The first ping of a train wakes the path and is not measured.
const BURST_PINGS = 40;
const TRAIN_PINGS = 5;
const TRAIN_MS = 1000;
const PING_MS = 25;
const ANSWER_LIMIT_MS = 2000;
// No clock of the same host steps by more.
const OTHER_HOST_MS = 500;

// The session's clock over a connection. `send(message)` sends a ping; the owner gives each pong to `receive`.
export class SessionClock {
  constructor({ send, now = () => performance.now(), stepMs = timerStepMs(now) }) {
    this.send = send;
    this.now = now;
    // A reading that is rounded down is half a step early on average.
    this.halfStepMs = stepMs / 2;
    this.timer = null;
    this.left = 0;
    this.wakes = true;
    this.asked = null;
    this.forget();
  }

  forget() {
    this.filter = new ClockFilter();
    this.base = null; // the first time of the server: the origin of "session ms" here
    this.known = null;
  }

  // A reading of this machine's clock, without its mean rounding error.
  localMs() {
    return this.now() + this.halfStepMs;
  }

  start() {
    this.stop();
    this.left = (this.filter.samples ? TRAIN_PINGS : BURST_PINGS) + 1;
    this.wakes = true;
    this.ping();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  ping() {
    this.timer = setTimeout(() => this.ping(), ANSWER_LIMIT_MS); // where no answer comes
    this.asked = this.localMs();
    this.send({ type: "ping", t0: this.asked });
  }

  receive(pong) {
    const receivedMs = this.localMs();
    if (pong.t0 !== this.asked) return; // too late: another ping is on its way
    this.asked = null;
    if (!this.wakes) this.measure(pong, receivedMs);
    this.wakes = false;
    if (this.timer === null) return; // stopped meanwhile
    clearTimeout(this.timer);
    this.left--;
    const goesOn = this.left > 0;
    if (!goesOn) {
      this.left = TRAIN_PINGS;
      this.wakes = true;
    }
    const waitMs = goesOn ? Math.max(0, PING_MS - (receivedMs - pong.t0)) : TRAIN_MS;
    this.timer = setTimeout(() => this.ping(), waitMs);
  }

  measure(pong, receivedMs) {
    if (this.base !== null && this.isOtherHost(pong, receivedMs)) this.forget();
    if (this.base === null) this.base = pong.t1_ns;
    const hostReceive = nsSince(pong.t1_ns, this.base);
    const hostSend = nsSince(pong.t2_ns, this.base);
    if (this.filter.add(pong.t0 * 1e6, hostReceive, hostSend, receivedMs * 1e6)) {
      this.known = this.filter.map(receivedMs * 1e6);
    }
  }

  // A host that was started again has another clock.
  isOtherHost(pong, receivedMs) {
    if (!this.known) return false;
    const awayMs = this.fromText(pong.t1_ns) - this.sessionMs(receivedMs);
    return Math.abs(awayMs) > OTHER_HOST_MS + receivedMs - pong.t0;
  }

  get usable() {
    return this.known !== null && this.filter.samples >= 8;
  }

  // The session's time, in ms after `base`, at own time `localMs`.
  sessionMs(localMs) {
    const k = this.known;
    return localMs + (k.offsetNs + k.drift * (localMs * 1e6 - k.localNs)) / 1e6;
  }

  // The inverse of sessionMs.
  localFromSessionMs(sessionMs) {
    const k = this.known;
    const atKnownMs = (k.localNs + k.offsetNs) / 1e6;
    return k.localNs / 1e6 + (sessionMs - atKnownMs) / (1 + k.drift);
  }

  // A time of the server, as ms after `base`.
  fromText(sessionNs) {
    return nsSince(sessionNs, this.base) / 1e6;
  }

  uncertaintyMs(localMs = this.localMs()) {
    if (!this.known) return Infinity;
    const ageNs = Math.max(0, localMs * 1e6 - this.known.localNs);
    const grownNs = Math.hypot(this.known.uncertaintyNs, this.known.driftUncertainty * ageNs) + WANDER * ageNs;
    return grownNs / 1e6 + this.halfStepMs;
  }
}
