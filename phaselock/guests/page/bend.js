// Detection of a clock that changes its speed: a port of ext/pl_bend.c for two clouds. The method and the reasons for
// the constants are in ext/pl_bend.h and there.
import { Hull, NORMAL_SD } from "/envelope.js";

const WINDOW_NS = 60e9;
const BUCKET_NS = 125e6;
const CELL_NS = [0.25e9, 0.35e9, 0.5e9, 0.7e9, 1e9, 1.4e9, 2e9, 2.8e9, 4e9];
const KNOWN_INTERVAL_NS = 0.2e9;
const KNOWN_SLOPES = 128;
const PROOF_SDS = 6;
const MIN_SCATTER_NS = 200;
const MAX_STEP_RATIO = 2;
const RECENT_CELLS = 4;
const MIN_OLDER_CELLS = 8;
const MAX_OLDER_CELLS = 256;
const MEDIAN_BISECTIONS = 40;

// By bisection, as in C: a sorted array has another median where the count is even.
function median(values, centre, distances) {
  const given = values.map((value) => (distances ? Math.abs(value - centre) : value));
  let low = Math.min(...given);
  let high = Math.max(...given);
  for (let pass = 1; pass < MEDIAN_BISECTIONS; pass++) {
    const middle = 0.5 * (low + high);
    const below = given.filter((value) => value <= middle).length;
    if (below > given.length >> 1) high = middle;
    else low = middle;
  }
  return 0.5 * (low + high);
}

// The least residuals of the cells [first, first + count); the newest cell is number 0. Infinity: an empty cell.
function cells(h, slope, cellNs, first, count) {
  const newestX = h.newestX();
  const origin = h.y[h.place(h.count - 1)] - slope * newestX;
  const least = new Array(count).fill(Infinity);
  for (let i = h.count - 1; i >= 0; i--) {
    const p = h.place(i);
    const k = Math.trunc((newestX - h.x[p]) / cellNs) - first;
    if (k >= count) break;
    if (k >= 0) least[k] = Math.min(least[k], h.y[p] - slope * h.x[p] - origin);
  }
  return least;
}

class BendCloud {
  constructor() {
    this.points = new Hull(WINDOW_NS, BUCKET_NS);
    this.scatters = CELL_NS.map(() => Infinity);
  }

  scatter(slope, length) {
    const found = cells(this.points, slope, CELL_NS[length], RECENT_CELLS, MAX_OLDER_CELLS);
    const older = found.filter((value) => value !== Infinity);
    if (older.length < MIN_OLDER_CELLS) return this.scatters[length];
    return Math.max(MIN_SCATTER_NS, NORMAL_SD * median(older, median(older, 0, false), true));
  }

  // By how much the slope has changed since the recent cells began; 0 when no change is proven.
  slopeChange(slope, slopeSd, length) {
    const recent = cells(this.points, slope, CELL_NS[length], 0, RECENT_CELLS);
    if (recent.includes(Infinity)) return 0;
    const steps = recent.slice(1).map((value, k) => recent[k] - value);
    const smallest = Math.min(...steps);
    const largest = Math.max(...steps);
    if (smallest * largest <= 0) return 0;
    const small = Math.min(Math.abs(smallest), Math.abs(largest));
    const large = Math.max(Math.abs(smallest), Math.abs(largest));
    if (large > MAX_STEP_RATIO * small) return 0;
    const slopeError = slopeSd * CELL_NS[length];
    if (small < PROOF_SDS * slopeError) return 0;
    if (small < PROOF_SDS * Math.hypot(this.scatter(slope, length), slopeError)) return 0;
    return (recent[0] - recent[RECENT_CELLS - 1]) / ((RECENT_CELLS - 1) * CELL_NS[length]);
  }

  restartAt(x, slope, owners) {
    this.scatters = CELL_NS.map((_, length) => this.scatter(slope, length));
    this.points.cut(x);
    owners.clear();
    for (let i = 0; i < this.points.count; i++) {
      const p = this.points.place(i);
      owners.add(this.points.x[p], this.points.y[p], 0);
      owners.flush();
    }
  }
}

export class Bend {
  constructor() {
    this.above = new BendCloud();
    this.below = new BendCloud();
    this.known = []; // {x, slope, slopeSd}, oldest first
  }

  add(xAbove, yAbove, xBelow, yBelowNegated, slope) {
    this.above.points.add(xAbove, yAbove, slope);
    this.below.points.add(xBelow, yBelowNegated, -slope);
  }

  // The prior of the new slope when a bend is proven: then the owner's clouds have been restarted. Else null.
  find(fit, above, below) {
    this.above.points.flush();
    this.below.points.flush();
    if (!this.above.points.count || !this.below.points.count) return null;
    const x = this.above.points.newestX();
    this.remember(x, fit);
    for (let length = 0; length < CELL_NS.length; length++) {
      const known = this.knownAt(x - RECENT_CELLS * CELL_NS[length]);
      if (!known) return null;
      const here = this.above.slopeChange(known.slope, known.slopeSd, length);
      const other = here ? -this.below.slopeChange(-known.slope, known.slopeSd, length) : 0;
      if (here * other <= 0) continue;
      const fromX = x - (RECENT_CELLS - 1) * CELL_NS[length];
      this.above.restartAt(fromX, known.slope, above);
      this.below.restartAt(fromX, -known.slope, below);
      this.known = [];
      return { slope: known.slope, slopeSd: Math.abs(0.5 * (here + other)) };
    }
    return null;
  }

  remember(x, fit) {
    const newest = this.known[this.known.length - 1];
    if (newest && x < newest.x + KNOWN_INTERVAL_NS) return;
    this.known.push({ x, slope: fit.slope, slopeSd: fit.slopeSd });
    if (this.known.length > KNOWN_SLOPES) this.known.shift();
  }

  knownAt(x) {
    for (let i = this.known.length - 1; i >= 0; i--) if (this.known[i].x <= x) return this.known[i];
    return null;
  }
}
