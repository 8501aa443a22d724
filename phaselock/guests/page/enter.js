// The way in: the name, the code where one is needed, and why it is closed.

import { $, setText } from "/dom.js";
import { arrive } from "/move.js";
import { forget, keepTyped, load, save } from "/store.js";
import { say } from "/texts.js";

const FULL_AGAIN_MS = 20000;
const CLOSED = { removed: "removed", wait: "wait", full: "full", version: "elsewhere" };

export class EnterView {
  // `showParty` is called with whether the guest is in.
  constructor(link, showParty) {
    this.link = link;
    this.showParty = showParty;
    this.timer = 0;
    this.typed_code = keepTyped($("enter-code"), "typed_code");
    keepTyped($("enter-name"), "typed_name");
    $("enter").addEventListener("submit", (event) => {
      event.preventDefault();
      this.go();
    });
    $("closed-retry").addEventListener("click", () => this.again());
    link.on("refused", (message) => this.refused(message));
    link.on("up", () => this.in());
  }

  start() {
    const secret = arrive(location.hash.slice(1)) ? "" : location.hash.slice(1);
    if (secret && secret !== load("secret")) {
      // Another session, or a new secret: the token of the old one is of no use. Or a link with a wrong one, which any
      // page may have: then the guest comes in as before.
      if (load("secret")) save("secret_before", load("secret"));
      if (load("token")) save("guest", load("token"));
      forget("token");
    }
    // A secret stays out of the history of the browser, if the phone keeps it.
    if (secret && save("secret", secret)) history.replaceState(null, "", location.pathname);
    if (load("name")) this.begin();
    else this.ask("welcome_hint", false);
  }

  begin() {
    $("enter").hidden = $("closed").hidden = true;
    this.showParty(true);
    this.link.start();
  }

  in() {
    clearTimeout(this.timer);
    $("enter").hidden = $("closed").hidden = true;
    this.showParty(true);
  }

  // Show the form. `code`: it has an entry for the code too, which a session without a code leaves empty.
  ask(hint, code, error = "") {
    this.showParty(false);
    $("closed").hidden = true;
    $("enter").hidden = false;
    setText($("enter-hint"), say(hint));
    setText($("enter-error"), error);
    $("enter-name").value = $("enter-name").value || load("name", "");
    $("enter-name-field").hidden = code && Boolean(load("name"));
    $("enter-code-field").hidden = !code;
    if (code) $("enter-code").focus();
  }

  go() {
    const name = $("enter-name").value.trim();
    if (!name) return;
    save("name", name);
    const code = $("enter-code").value.trim();
    if (code) {
      save("code", code);
      forget("secret");
      this.typed_code.done();
    }
    this.begin();
  }

  again() {
    if ($("closed").dataset.reason === "version") location.reload();
    else this.begin();
  }

  refused({ error, message }) {
    const asked = !$("enter-code-field").hidden;
    if (error === "secret") this.out();
    else if (error === "code") this.ask("code_hint", true, asked ? message || say("code_wrong") : "");
    else this.close(error);
  }

  // The secret is an old one. Without one, the host asks for the code, or lets all in.
  out() {
    this.ask("secret_hint", false);
    $("enter-name-field").hidden = Boolean(load("name"));
  }

  close(error) {
    const key = CLOSED[error] || "full";
    this.showParty(false);
    $("enter").hidden = true;
    $("closed").hidden = false;
    $("closed").dataset.reason = error;
    setText($("closed-title"), say(`${key}_title`));
    setText($("closed-text"), say(`${key}_text`));
    $("closed-title").focus();
    clearTimeout(this.timer);
    if (error === "full") this.timer = setTimeout(() => this.again(), FULL_AGAIN_MS);
  }
}
