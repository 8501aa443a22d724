// Starts the page and joins its parts.

import { AskView } from "/ask.js";
import { ChatView } from "/chat.js";
import { $, setText, tell } from "/dom.js";
import { EnterView } from "/enter.js";
import { Link } from "/link.js";
import { ListenView } from "/listen.js";
import { Move } from "/move.js";
import { NowView } from "/now.js";
import { Outbox } from "/outbox.js";
import { QueueView } from "/queue.js";
import { RoomClock } from "/roomclock.js";
import { keepTyped, load, save } from "/store.js";
import { say, translate } from "/texts.js";
import { Uploads } from "/uploads.js";

const UNNOTICED_MS = 1500; // A connection that is back within this time was not missed.
const wide = matchMedia("(min-width: 768px)");

translate(document);
const link = new Link();
const clock = new RoomClock(link);
const outbox = new Outbox(link, () => showOwn(), (sentence) => tell(sentence, say("close")));
const uploads = new Uploads(link, outbox, () => ask.showMine());
const now = new NowView(link, clock, outbox);
const queue = new QueueView(outbox);
const ask = new AskView(link, outbox, uploads);
const chat = new ChatView(link, outbox, () => side() === "chat" && document.visibilityState === "visible");
new ListenView(link);
new Move(link);
const enter = new EnterView(link, showParty);
let state = null;
let down_timer = 0;

// The state of the host

link.on("state", (message) => {
  state = message;
  setText($("session-name"), state.session_name);
  document.title = state.session_name;
  setText($("people"), [say("people", { n: state.people }), say("hosted_by", { name: state.host_name })].join(" "));
  setText($("me"), state.me.name);
  $("me").setAttribute("aria-label", say("rename", { name: state.me.name }));
  showOwn();
});
link.on("told", (message) => tell(message.message, say("close")));

// Show the state, with what the host has not confirmed.
function showOwn() {
  chat.showUnsent();
  if (!state) return;
  now.show(state);
  queue.show(state);
  ask.show(state);
  if (!chat.show(state) && side() === "chat") show("music");
}

// The connection

link.on("up", () => {
  clearTimeout(down_timer);
  down_timer = 0;
  $("connection").hidden = true;
});
link.on("down", () => {
  if (state) showOwn();
  if (down_timer) return;
  down_timer = setTimeout(() => {
    if ($("party").hidden) return;
    $("connection").hidden = false;
    setText($("connection"), say("offline"));
  }, UNNOTICED_MS);
});

// The views

function side() {
  const view = document.body.dataset.view;
  return wide.matches && view === "music" ? "ask" : view;
}

function show(view) {
  document.body.dataset.view = view;
  for (const button of $("views").querySelectorAll("button")) {
    if (button.dataset.view === side()) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  if (side() === "chat") chat.seen();
  now.move();
}

for (const button of $("views").querySelectorAll("button")) button.addEventListener("click", () => show(button.dataset.view));
wide.addListener(() => show(document.body.dataset.view));
document.addEventListener("visibilitychange", () => side() === "chat" && document.visibilityState === "visible" && chat.seen());

function showParty(shown) {
  $("party").hidden = $("views").hidden = $("me").hidden = !shown;
  if (shown) {
    show(document.body.dataset.view);
  } else {
    $("connection").hidden = true;
    showRename(false);
  }
}

// The name

const typed_name = keepTyped($("rename-name"), "rename");

function showRename(shown) {
  $("rename").hidden = !shown;
  $("me").setAttribute("aria-expanded", String(shown));
  if (!shown) return;
  $("rename-name").value = $("rename-name").value || load("name", "");
  $("rename-name").focus();
}

$("me").addEventListener("click", () => showRename($("rename").hidden));
$("rename").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("rename-name").value.trim();
  if (!name) return;
  save("name", name);
  setText($("me"), name);
  link.send({ type: "name", name }); // Without a connection, the next greeting carries it.
  typed_name.done();
  showRename(false);
  $("me").focus();
});

enter.start();
