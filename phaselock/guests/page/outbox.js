// What the guest has done and the host has not confirmed. It is kept on the phone, sent again after each new connection,
// and struck out when the host's state shows it.

import { load, save } from "/store.js";
import { say } from "/texts.js";

const SETTLE_MS = 10000; // What an open connection has carried for this long has arrived.
export const LINES_MS = 1500; // A host that has messages sends them within this time after its first state.

export class Outbox {
  // `changed` is called when the list changes, `late` with a sentence for what came too late.
  constructor(link, changed, late) {
    this.link = link;
    this.changed = changed;
    this.late = late;
    this.items = load("outbox", []).map((item) => Object.assign(item, { sent_ms: null }));
    this.session = null;
    this.chat_number = 0;
    link.on("up", ({ session }) => {
      if (this.session !== null && session !== this.session) this.renumber();
      this.session = session;
      this.sendAll();
    });
    link.on("down", () => this.items.forEach((item) => (item.sent_ms = null)));
    link.on("state", (state) => this.compare(state));
    link.on("chat", (chat) => this.compareChat(chat));
    link.on("told", (told) => told.request && this.strike((item) => item.kind === "ask" && item.request === told.request));
    setInterval(() => this.strike((item) => item.sent_ms !== null && performance.now() - item.sent_ms > SETTLE_MS), 2000);
  }

  ask(request, song) {
    this.add({ kind: "ask", key: request, request, song });
  }

  withdraw(request) {
    const unsent = this.find("ask", request);
    this.strike((item) => item.kind === "ask" && item.request === request);
    if (!unsent || unsent.sent_ms !== null) this.add({ kind: "withdraw", key: request, request });
  }

  vote(song, wanted, name) {
    this.add({ kind: "vote", key: song, song, wanted, name });
  }

  skip(song, wanted) {
    this.add({ kind: "skip", key: song, song, wanted });
  }

  say(key, text) {
    this.add({ kind: "say", key, text, after: this.chat_number });
  }

  find(kind, key) {
    return this.items.find((item) => item.kind === kind && item.key === key);
  }

  all(kind) {
    return this.items.filter((item) => item.kind === kind);
  }

  add(item) {
    this.items = this.items.filter((old) => old.kind !== item.kind || old.key !== item.key);
    this.items.push(item);
    this.send(item);
    this.keep();
  }

  sendAll() {
    // Messages wait for the newest lines: those may show that they had arrived.
    for (const item of this.items) if (item.kind !== "say") this.send(item);
    setTimeout(() => this.sendLines(), LINES_MS);
  }

  sendLines() {
    for (const item of this.all("say")) if (item.sent_ms === null) this.send(item);
    this.changed();
  }

  send(item) {
    item.sent_ms = this.link.send(message(item)) ? performance.now() : null;
  }

  compare(state) {
    const rows = new Map(state.queue.map((row) => [row.id, row]));
    const requests = new Set(state.requests.map((request) => request.id));
    const now = state.now;
    this.strike((item) => {
      if (item.kind === "ask") return requests.has(item.request);
      if (item.kind === "withdraw") return item.sent_ms !== null && !requests.has(item.request);
      if (item.kind === "vote") {
        const row = rows.get(item.song);
        const waits = row && (row.status === "ready" || row.status === "transferring");
        if (!waits && item.wanted && !this.recent(item)) this.late(say("late_vote", { song: item.name }));
        return !waits || row.voted === item.wanted;
      }
      if (item.kind === "skip") {
        const plays = now && now.id === item.song;
        return !plays || !now.skip || now.skip.mine === item.wanted;
      }
      return false;
    });
  }

  // The host had it in time: that its song ended is its answer.
  recent(item) {
    return item.sent_ms !== null && performance.now() - item.sent_ms > 1000;
  }

  // The host was started again: its messages have numbers from 1.
  renumber() {
    this.chat_number = 0;
    for (const item of this.all("say")) item.after = 0;
  }

  compareChat(chat) {
    for (const line of chat.lines) {
      this.chat_number = Math.max(this.chat_number, line.number);
      if (!line.mine) continue;
      const found = this.items.find((item) => item.kind === "say" && item.after < line.number && item.text === line.text);
      if (found) this.strike((item) => item === found);
    }
    this.sendLines();
  }

  strike(done) {
    const left = this.items.filter((item) => !done(item));
    if (left.length === this.items.length) return;
    this.items = left;
    this.keep();
  }

  keep() {
    save("outbox", this.items);
    this.changed();
  }
}

function message(item) {
  if (item.kind === "ask") {
    const { song, file_name, size } = item.song;
    const what = song === undefined ? { file_name, size } : { song };
    return Object.assign({ type: "ask", request: item.request }, what);
  }
  if (item.kind === "withdraw") return { type: "withdraw", request: item.request };
  if (item.kind === "say") return { type: "say", text: item.text };
  return { type: item.kind, song: item.song, wanted: item.wanted };
}
