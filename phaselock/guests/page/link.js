// The connection with the host: enter, keep one WebSocket open, and come back when it breaks.

import { become } from "/move.js";
import { forget, load, save } from "/store.js";
import { LANGUAGE } from "/texts.js";

const VERSION = 1;
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 15000;
const ANSWER_MS = 8000; // A host that has not answered for this long is gone.
const AWAKE_ANSWER_MS = 3000; // The same after the phone has slept, when it is likely.
const PING_MS = 5000;
const HERE_MS = 60000;

export class Link {
  constructor() {
    this.open = false; // The host has welcomed this page.
    this.handlers = new Map();
    this.socket = null;
    this.timer = 0;
    this.wait_ms = FIRST_WAIT_MS;
    this.running = false;
    this.entering = false;
    this.asked_ms = null; // When the host was asked for the sign of life that is missing.
    addEventListener("online", () => this.again());
    addEventListener("offline", () => this.lost(this.socket));
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.awake();
    });
    setInterval(() => this.beat(), PING_MS);
    setInterval(() => this.visible() && this.send({ type: "here" }), HERE_MS);
  }

  // Call `handler` with every message of a type. Types of this class itself: "up", "down", and "refused" with the
  // members `error` and `message`.
  on(type, handler) {
    this.handlers.set(type, (this.handlers.get(type) || []).concat(handler));
  }

  tell(message) {
    for (const handler of this.handlers.get(message.type) || []) handler(message);
  }

  // Send a message if the page is connected; returns whether it was.
  send(message) {
    if (!this.open) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  get token() {
    return load("token", "");
  }

  start() {
    this.running = true;
    this.again();
  }

  stop() {
    this.running = false;
    this.open = false;
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
  }

  // Try at once.
  again() {
    if (!this.running || this.socket || this.entering) return;
    clearTimeout(this.timer);
    if (this.token) this.connect();
    else this.enter();
  }

  // Ask for a token with what the phone knows: the secret of the picture or the typed code.
  async enter() {
    this.entering = true;
    const answer = await this.post(this.credentials());
    this.entering = false;
    if (!this.running) return;
    if (answer.token) {
      save("token", answer.token);
      forget("secret_before");
      this.connect();
    } else if (!answer.error || answer.error === "busy") {
      this.later();
    } else {
      if (answer.error === "secret") {
        forget("secret");
        if (load("secret_before")) save("secret", load("secret_before"));
        forget("secret_before");
        if (load("secret") || load("code")) {
          this.again();
          return;
        }
      }
      if (answer.error === "code") forget("code");
      this.refuse(answer);
    }
  }

  credentials() {
    const found = { language: LANGUAGE };
    if (load("secret")) found.secret = load("secret");
    else if (load("code")) found.code = load("code");
    if (load("guest")) found.guest = load("guest");
    return found;
  }

  // The host's answer; {} if there is none.
  async post(body) {
    const ended = typeof AbortController === "function" ? new AbortController() : null;
    const timer = setTimeout(() => ended && ended.abort(), ANSWER_MS);
    try {
      const answer = await fetch("/api/enter", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: ended ? ended.signal : undefined,
      });
      return await answer.json();
    } catch (error) {
      return {};
    } finally {
      clearTimeout(timer);
    }
  }

  refuse(answer) {
    this.stop();
    this.tell({ type: "refused", error: answer.error, message: answer.message || "" });
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/live`);
    this.socket = socket;
    this.asked_ms = performance.now();
    socket.onopen = () => {
      const name = load("name", "");
      socket.send(JSON.stringify({ type: "hello", token: this.token, name, language: LANGUAGE }));
    };
    socket.onmessage = (event) => {
      if (this.socket === socket) this.hear(JSON.parse(event.data));
    };
    socket.onclose = () => this.lost(socket);
  }

  hear(message) {
    this.asked_ms = null;
    if (message.type === "welcome") {
      if (message.version !== VERSION) {
        this.refuse({ error: "version" });
        return;
      }
      this.wait_ms = FIRST_WAIT_MS;
      this.open = true;
      save("guest", this.token);
      this.tell({ type: "up", name: message.name, session: message.session });
    } else if (message.type === "refused") {
      if (message.error !== "token") {
        this.refuse(message);
        return;
      }
      // The host was started again, or its secret was changed: the guest enters again.
      save("guest", this.token);
      forget("token");
      become();
      this.lost(this.socket);
    } else {
      this.tell(message);
    }
  }

  lost(socket) {
    if (!socket || this.socket !== socket) return;
    this.socket = null;
    socket.close();
    const was_open = this.open;
    this.open = false;
    if (was_open) this.tell({ type: "down" });
    if (this.running) this.later();
  }

  later() {
    this.tell({ type: "down" });
    // By chance, so that all phones do not come back at the same moment.
    const wait_ms = this.wait_ms * (0.75 + 0.5 * Math.random());
    this.wait_ms = Math.min(2 * this.wait_ms, MAX_WAIT_MS);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.again(), wait_ms);
  }

  visible() {
    return document.visibilityState === "visible";
  }

  // A phone that has slept does not know that its connection is gone.
  awake() {
    this.wait_ms = FIRST_WAIT_MS;
    this.again();
    this.send({ type: "here" });
    this.beat();
    const socket = this.socket;
    setTimeout(() => this.silent_ms() > AWAKE_ANSWER_MS / 2 && this.lost(socket), AWAKE_ANSWER_MS);
  }

  // How long the host has not answered.
  silent_ms() {
    return this.asked_ms === null ? 0 : performance.now() - this.asked_ms;
  }

  // Ask for a sign of life, and give up a connection without one. Timers of a page that is hidden come late, but the
  // answer is then there first.
  beat() {
    if (!this.socket) return;
    if (this.silent_ms() > ANSWER_MS) this.lost(this.socket);
    else this.ping();
  }

  ping() {
    const now_ms = performance.now();
    if (this.send({ type: "ping", t0: now_ms }) && this.asked_ms === null) this.asked_ms = now_ms;
  }
}
