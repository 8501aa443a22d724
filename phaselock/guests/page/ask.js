// Ask for a song: search the host's music, upload files, and see what became of it.

import { $, announce, icon, make, setText, showRows, tell, uuid } from "/dom.js";
import { keepTyped } from "/store.js";
import { duration, say, title } from "/texts.js";

const USUAL_KINDS = ["MP3", "M4A", "FLAC", "OGG", "OPUS", "WAV"];
const MAX_CHOSEN = 5; // As many requests of one person as the host leaves open.
const TYPING_MS = 120; // The search waits until no key was pressed for this long.

export class AskView {
  constructor(link, outbox, uploads) {
    this.link = link;
    this.outbox = outbox;
    this.uploads = uploads;
    this.state = null;
    this.search_id = 0;
    this.results = [];
    this.asked = new Map(); // Request by song of the library.
    this.refused = new Map(); // What the host said, by request.
    this.songs = new Map(); // What was asked for, by request.
    this.hidden = new Set();
    this.timer = 0;
    keepTyped($("search-text"), "search");
    $("search-text").addEventListener("input", () => this.typed());
    $("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.search();
      $("search-text").blur(); // The keyboard of a phone would cover what is found.
    });
    $("upload-files").addEventListener("change", () => this.chosen());
    link.on("results", (message) => this.found(message));
    link.on("up", () => this.search());
    link.on("told", (message) => message.request && this.refuse(message));
    for (const item of outbox.all("ask")) this.remember(item.request, item.song);
  }

  show(state) {
    this.state = state;
    $("search").hidden = !state.library;
    $("results").hidden = $("search-told").hidden = !state.library;
    $("upload").hidden = !state.can_upload;
    setText($("upload-kinds"), usualKinds(state.upload_kinds));
    $("upload-files").accept = state.upload_kinds.concat("audio/*").join(",");
    setText($("ask-rules"), limit(state));
    showRows($("rules-rows"), rules(state.rules), (rule) => rule, (rule) => make("li", {}, rule), () => {});
    this.showMine();
    this.showResults();
  }

  // Search

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.search(), TYPING_MS);
  }

  search() {
    clearTimeout(this.timer);
    const text = $("search-text").value.trim();
    this.search_id += 1;
    if (!text) {
      this.results = [];
      setText($("search-told"), "");
      this.showResults();
    } else if (this.link.send({ type: "search", search: this.search_id, text })) {
      if (!this.results.length) setText($("search-told"), say("searching"));
    } else {
      setText($("search-told"), say("found_offline"));
    }
  }

  found(message) {
    if (message.search !== this.search_id) return; // More was typed since.
    this.results = message.songs;
    const n = this.results.length;
    setText($("search-told"), n ? say("found", { n }) : say("found_none"));
    this.showResults();
  }

  showResults() {
    showRows($("results"), this.results, (song) => song.id, (song) => this.createResult(song), (row, song) => this.updateResult(row, song));
  }

  createResult(song) {
    const button = make("button", { type: "button", class: "take quiet" });
    button.addEventListener("click", () => this.take(song));
    const detail = [song.artist, song.album, song.duration_s ? duration(song.duration_s) : ""].filter(Boolean).join(" · ");
    const words = make("div", { class: "words" }, make("p", { class: "title" }, title(song)), make("p", { class: "detail" }, detail));
    return make("li", { class: "row" }, words, button);
  }

  updateResult(row, song) {
    const button = row.querySelector("button");
    const asked = this.asked.has(song.id);
    const name = asked ? "check" : "plus";
    if (button.dataset.icon !== name) {
      button.dataset.icon = name;
      if (button.firstChild) button.firstChild.remove();
      button.append(icon(name));
    }
    button.setAttribute("aria-label", say(asked ? "asked" : "ask", { song: title(song) }));
    if (asked) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
  }

  take(song) {
    if (this.asked.has(song.id)) return;
    const request = uuid();
    const wish = { song: song.id, title: song.title, artist: song.artist };
    this.remember(request, wish);
    this.outbox.ask(request, wish);
    announce(say("told_ask", { song: title(song) }));
  }

  remember(request, song) {
    this.songs.set(request, song);
    if (song.song !== undefined) this.asked.set(song.song, request);
  }

  refuse(message) {
    for (const [song, request] of this.asked) if (request === message.request) this.asked.delete(song);
    this.uploads.cancel(message.request);
    if (this.songs.has(message.request)) this.refused.set(message.request, message.message);
    this.showResults();
    this.showMine();
  }

  // Upload

  chosen() {
    const entry = $("upload-files");
    const files = Array.from(entry.files);
    entry.value = "";
    const kinds = this.state ? this.state.upload_kinds : [];
    if (files.length > MAX_CHOSEN) tell(say("too_many", { n: MAX_CHOSEN }), say("close"));
    for (const file of files.slice(0, MAX_CHOSEN)) {
      const fits = kinds.some((kind) => file.name.toLowerCase().endsWith(kind));
      if (!fits) {
        tell(say("not_music", { file: file.name, kinds: usualKinds(kinds) }), say("close"));
      } else if (!file.size) {
        tell(say("empty_file", { file: file.name }), say("close"));
      } else {
        this.uploads.add(file, this.state.requests);
      }
    }
    for (const item of this.outbox.all("ask")) this.remember(item.request, item.song);
    this.showMine();
  }

  // The guest's own requests: those that the host knows, those that it does not know yet, and those it has refused.
  showMine() {
    const known = this.state ? this.state.requests : [];
    const withdrawn = new Set(this.outbox.all("withdraw").map((item) => item.request));
    const ids = new Set(known.map((request) => request.id));
    const own = (request, song, state, reason) =>
      ({ id: request, title: song.title, artist: song.artist, file_name: song.file_name, state, size: song.size, reason });
    const unsent = this.outbox.all("ask").filter((item) => !ids.has(item.request)).map((item) => own(item.request, item.song, "unsent", ""));
    const refused = Array.from(this.refused).filter(([request]) => !ids.has(request))
      .map(([request, reason]) => own(request, this.songs.get(request), "rejected", reason));
    const rows = known.concat(unsent, refused).filter((request) => !this.hidden.has(request.id) && !withdrawn.has(request.id));
    $("mine").hidden = !rows.length;
    showRows($("mine-rows"), rows, (request) => request.id, (request) => this.createMine(request), (row, request) => this.updateMine(row, request));
  }

  createMine(request) {
    const button = make("button", { type: "button", class: "bare" }, icon("close"));
    button.addEventListener("click", () => this.close(request.id));
    const bar = make("div", { class: "bar", hidden: "" }, make("div"));
    const words = make("div", { class: "words" }, make("p", { class: "title" }), make("p", { class: "by" }), bar);
    return make("li", { class: "row" }, words, button);
  }

  updateMine(row, request) {
    const name = title(request);
    const over = request.state === "rejected" || request.state === "failed";
    const sent = this.uploads.done(request.id);
    const done = sent === null ? request.done_bytes : sent;
    row.dataset.over = over ? "1" : "";
    setText(row.querySelector(".title"), name);
    const by = row.querySelector(".by");
    setText(by, this.describe(request, done));
    by.classList.toggle("bad", over);
    by.classList.toggle("mine", request.state === "added");
    const bar = row.querySelector(".bar");
    bar.hidden = request.state !== "accepted" || !done;
    bar.firstChild.style.transform = `scaleX(${request.size ? done / request.size : 0})`;
    const button = row.querySelector("button");
    button.hidden = request.state === "added";
    button.setAttribute("aria-label", say(over ? "dismiss" : "withdraw", { song: name }));
  }

  describe(request, done) {
    if (request.state === "unsent") return say(this.link.open ? "state_sent" : "state_unsent");
    if (request.state === "rejected" || request.state === "failed") return request.reason || say(`state_${request.state}`);
    if (request.state !== "accepted") return say(`state_${request.state}`);
    const song = this.songs.get(request.id);
    if ((song && song.song !== undefined) || !request.size || done >= request.size) return say("state_checking");
    if (!this.uploads.has(request.id)) return say("state_again");
    if (!this.link.open) return say("state_stopped");
    if (this.uploads.done(request.id) === null) return say("state_queued");
    return say("state_uploading", { percent: Math.floor((100 * done) / request.size) });
  }

  close(request) {
    const row = Array.from($("mine-rows").children).find((one) => one.dataset.key === request);
    const over = row && row.dataset.over === "1";
    this.refused.delete(request);
    for (const [song, one] of this.asked) if (one === request) this.asked.delete(song);
    if (over) {
      this.hidden.add(request);
    } else {
      this.uploads.cancel(request);
      this.outbox.withdraw(request);
    }
    this.showMine();
    this.showResults();
    if (!$("mine").hidden) $("mine-title").focus();
  }
}

// The endings that guests know, of those that the host takes.
function usualKinds(endings) {
  const kinds = endings.map((ending) => ending.slice(1).toUpperCase());
  const usual = USUAL_KINDS.filter((kind) => kinds.includes(kind));
  return say(usual.length < kinds.length ? "kinds_and_more" : "kinds", { kinds: usual.join(", ") });
}

// The rules of the session, a sentence each.
function rules(set) {
  const numbers = ["max_waiting", "max_per_hour", "max_length_min", "no_repeat_min"];
  const flags = { skip: set.skip_vote, fair: set.order === "fair", hand: set.order !== "fair", accept: !set.accept };
  const kept = numbers.filter((name) => set[name] !== null).map((name) => say(`rule_${name}`, { n: set[name] }));
  return Object.keys(flags).filter((name) => flags[name]).map((name) => say(`rule_${name}`)).concat(kept);
}

// How many more songs the guest can ask for now.
function limit(state) {
  if (!state.rules.accept) return say("ask_rules_hand");
  const { waiting, max_waiting } = state.me;
  if (max_waiting === null) return "";
  if (waiting >= max_waiting) return say("ask_rules_full", { max: max_waiting });
  return say("ask_rules_waiting", { max: max_waiting, n: waiting });
}
