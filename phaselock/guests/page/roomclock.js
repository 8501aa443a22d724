// The host's clock, well enough to show a position: the offset of the quickest of the last exchanges.

const KEPT = 8;

export class RoomClock {
  constructor(link) {
    this.exchanges = [];
    link.on("up", () => {
      this.exchanges = [];
      for (const wait_ms of [0, 150, 300]) setTimeout(() => link.ping(), wait_ms);
    });
    link.on("pong", (message) => this.add(message, performance.now()));
  }

  add(message, t3) {
    const t1 = milliseconds(message.t1_ns);
    const t2 = milliseconds(message.t2_ns);
    const trip = t3 - message.t0 - (t2 - t1);
    this.exchanges.push({ trip, offset: (t1 + t2 - message.t0 - t3) / 2 });
    if (this.exchanges.length > KEPT) this.exchanges.shift();
  }

  // The host's time in ms; null before the first exchange.
  now() {
    if (!this.exchanges.length) return null;
    const best = this.exchanges.reduce((a, b) => (b.trip < a.trip ? b : a));
    return performance.now() + best.offset;
  }
}

// Nanoseconds as a decimal text -> ms. A number holds 53 bits, which is too few for the nanoseconds themselves.
export function milliseconds(text) {
  const digits = text.padStart(7, "0");
  return Number(digits.slice(0, -6)) + Number(digits.slice(-6)) / 1e6;
}
