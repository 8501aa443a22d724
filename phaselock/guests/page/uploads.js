// Uploads of the guest's files, one after the other. A broken one goes on where the host says that it ended.

import { uuid } from "/dom.js";

const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 10000;

export class Uploads {
  // `changed` is called when progress is to be shown again.
  constructor(link, outbox, changed) {
    this.link = link;
    this.outbox = outbox;
    this.changed = changed;
    this.files = new Map(); // File by request, while the host needs it.
    this.accepted = []; // Requests that the host waits for, in its order.
    this.current = null; // {request, done, xhr}
    this.sent = new Map(); // Bytes by request, as far as this page knows more than the host's state.
    this.wait_ms = FIRST_WAIT_MS;
    link.on("state", (state) => this.follow(state));
    link.on("up", () => this.next());
  }

  // Ask for a file, or go on with a request of an earlier visit that lacks it. `requests`: those of the host's state.
  add(file, requests) {
    const lost = requests.find(
      (one) => one.state === "accepted" && one.file_name === file.name && one.size === file.size && !this.files.has(one.id)
    );
    const request = lost ? lost.id : uuid();
    this.files.set(request, file);
    if (!lost) this.outbox.ask(request, { file_name: file.name, size: file.size });
    this.next();
  }

  has(request) {
    return this.files.has(request);
  }

  // Bytes of a request that have been sent; null: its upload has not begun.
  done(request) {
    if (this.current && this.current.request === request) return this.current.done;
    return this.sent.has(request) ? this.sent.get(request) : null;
  }

  cancel(request) {
    this.files.delete(request);
    if (this.current && this.current.request === request) this.current.xhr.abort();
  }

  follow(state) {
    this.accepted = state.requests.filter((one) => one.state === "accepted" && one.done_bytes < one.size).map((one) => one.id);
    const known = new Map(state.requests.map((one) => [one.id, one.state]));
    for (const request of Array.from(this.files.keys())) {
      const needed = ["open", "accepted", "converting"].includes(known.get(request)) || this.outbox.find("ask", request);
      // A request that the state does not show yet, or that has just been sent, is not over.
      if (!needed && known.has(request)) this.cancel(request);
    }
    this.next();
  }

  next() {
    if (this.current || !this.link.open) return;
    const request = this.accepted.find((one) => this.files.has(one));
    if (request) this.run(request, this.files.get(request));
  }

  async run(request, file) {
    const xhr = new XMLHttpRequest();
    const current = { request, done: 0, xhr };
    this.current = current;
    let went_on = false;
    try {
      const answer = await fetch(`/upload/${request}`, { headers: { Authorization: `Bearer ${this.link.token}` } });
      if (answer.ok && this.files.has(request)) {
        current.done = (await answer.json()).done;
        this.changed();
        went_on = current.done === file.size || (await this.send(xhr, file, current));
      }
    } catch (error) {
      // No connection: the next attempt asks again how far it came.
    }
    // Progress counts what has left the phone: without the host's answer, it may not have arrived.
    if (went_on) this.sent.set(request, current.done);
    this.wait_ms = went_on ? FIRST_WAIT_MS : Math.min(2 * this.wait_ms, MAX_WAIT_MS);
    setTimeout(() => {
      this.current = null;
      this.next();
    }, went_on ? 0 : this.wait_ms);
    if (went_on && current.done === file.size) this.accepted = this.accepted.filter((one) => one !== request);
    this.changed();
  }

  // Send the rest of a file; resolves to whether the host has taken it.
  send(xhr, file, current) {
    const from = current.done;
    return new Promise((resolve) => {
      xhr.open("POST", `/upload/${current.request}`);
      xhr.setRequestHeader("Authorization", `Bearer ${this.link.token}`);
      xhr.setRequestHeader("Upload-Offset", String(from));
      xhr.setRequestHeader("Content-Type", "application/octet-stream");
      xhr.upload.onprogress = (event) => {
        current.done = from + event.loaded;
        this.changed();
      };
      xhr.responseType = "json";
      xhr.onloadend = () => {
        const went_on = xhr.status === 200 && xhr.response !== null;
        if (went_on) current.done = xhr.response.done;
        resolve(went_on);
      };
      xhr.send(file.slice(from));
    });
  }
}
