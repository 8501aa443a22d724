// The messages of all.

import { $, announce, make, setText, uuid } from "/dom.js";
import { LINES_MS } from "/outbox.js";
import { keepTyped } from "/store.js";
import { say } from "/texts.js";

const MAX_LINES = 200;

export class ChatView {
  // `visible` tells whether the messages can be seen.
  constructor(link, outbox, visible) {
    this.outbox = outbox;
    this.visible = visible;
    this.session = null;
    this.number = 0;
    this.last = null; // The name of the newest line.
    this.unread = 0;
    this.first = true; // The lines that come are those from before the guest came.
    const typed = keepTyped($("say-text"), "say");
    $("say").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = $("say-text").value.trim();
      if (!text) return;
      outbox.say(uuid(), text);
      typed.done();
      $("say-text").focus();
      this.toEnd();
    });
    link.on("up", ({ session }) => {
      if (this.session !== null && session !== this.session) this.clear();
      this.session = session;
      setTimeout(() => (this.first = false), LINES_MS);
    });
    link.on("chat", (message) => this.add(message.lines));
  }

  show(state) {
    const on = state.rules.chat || this.number > 0;
    $("to-chat").hidden = !on;
    $("say").hidden = !state.rules.chat;
    return on;
  }

  // The host was started again: its messages have numbers from 1.
  clear() {
    this.number = 0;
    this.last = null;
    for (const old of Array.from($("chat-lines").querySelectorAll(".message:not(.unsent)"))) old.remove();
  }

  add(lines) {
    const list = $("chat-lines");
    const at_end = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
    const last_read = this.number;
    let own = false;
    for (const line of lines) {
      if (line.number <= this.number) continue;
      this.number = line.number;
      own = own || line.mine;
      list.insertBefore(this.line(line.name, line.text, line.mine), list.querySelector(".unsent"));
      if (!line.mine && !this.first && !this.visible()) this.unread += 1;
    }
    if (this.number === last_read) return;
    this.first = false;
    while (list.children.length > MAX_LINES) list.firstChild.remove();
    this.showUnread();
    $("chat-empty").hidden = true;
    if (at_end || own) this.toEnd();
  }

  line(name, text, mine) {
    const first = name !== this.last;
    this.last = name;
    const item = make("div", { class: ["message", mine ? "own" : "", first ? "first" : ""].filter(Boolean).join(" ") });
    const who = make("p", { class: mine || !first ? "unseen" : "name" }, mine ? `${say("by_me")}:` : mine || first ? name : `${name}:`);
    item.append(who, make("p", { class: "text" }, text));
    return item;
  }

  // The messages that the host does not have yet.
  showUnsent() {
    const list = $("chat-lines");
    for (const old of Array.from(list.querySelectorAll(".unsent"))) old.remove();
    for (const item of this.outbox.all("say")) {
      const row = make("div", { class: "message own unsent" }, make("p", { class: "text" }, item.text));
      if (item.sent_ms === null) row.append(make("p", { class: "unsent-note" }, say("unsent")));
      list.append(row);
    }
    $("chat-empty").hidden = list.children.length > 0;
  }

  seen() {
    this.unread = 0;
    this.showUnread();
    this.toEnd();
  }

  showUnread() {
    $("unread").hidden = !this.unread;
    setText($("unread"), this.unread > 99 ? "99+" : String(this.unread));
    const label = say("view_chat");
    $("to-chat").setAttribute("aria-label", this.unread ? `${label}, ${say("new_messages", { n: this.unread })}` : label);
    if (this.unread) announce(say("new_messages", { n: this.unread }));
  }

  toEnd() {
    const list = $("chat-lines");
    list.scrollTop = list.scrollHeight;
  }
}
