// The songs that wait, who asked for them, and the votes.

import { $, icon, make, setText, showRows } from "/dom.js";
import { duration, say, title, whoAsked } from "/texts.js";

export class QueueView {
  constructor(outbox) {
    this.outbox = outbox;
    this.songs = new Map();
  }

  show(state) {
    const waiting = state.queue.filter((song) => song.status === "ready" || song.status === "transferring");
    this.songs = new Map(waiting.map((song) => [song.id, song]));
    showRows($("queue-rows"), waiting, (song) => song.id, (song) => this.create(song), (row, song) => this.update(row, song));
    $("queue-empty").hidden = waiting.length > 0;
    const more = (state.rows || 0) - state.queue.length; // The host sends the first rows only.
    setText($("queue-more"), more > 0 ? say("queue_more", { n: more }) : "");
    this.showPlayed(state);
  }

  // The songs that were played, the last one first.
  showPlayed(state) {
    const played = state.queue.filter((song) => song.status === "played").reverse();
    $("played").hidden = !played.length;
    setText($("played-title"), say("played", { n: played.length }));
    showRows($("played-rows"), played, (song) => song.id, () => make("li", { class: "row" }, words()), describe);
  }

  create(song) {
    const button = make("button", { type: "button", class: "vote quiet" }, icon("up"), make("span"));
    button.addEventListener("click", () => this.vote(song.id));
    return make("li", { class: "row" }, words(), button);
  }

  update(row, song) {
    describe(row, song);
    const { votes, voted } = this.votes(song);
    const button = row.querySelector("button");
    setText(button.querySelector("span"), String(votes));
    button.setAttribute("aria-pressed", String(voted));
    button.setAttribute("aria-label", say("vote_label", { song: title(song), n: votes }));
  }

  // The votes as they are, with the guest's own that the host has not confirmed.
  votes(song) {
    const own = this.outbox.find("vote", song.id);
    if (!own || own.wanted === song.voted) return { votes: song.votes, voted: song.voted };
    return { votes: song.votes + (own.wanted ? 1 : -1), voted: own.wanted };
  }

  vote(id) {
    const song = this.songs.get(id);
    if (song) this.outbox.vote(id, !this.votes(song).voted, title(song));
  }
}

function words() {
  const by = make("p", { class: "by" }, make("span"), " ", make("span"));
  return make("div", { class: "words" }, make("p", { class: "title" }), make("p", { class: "detail" }), by);
}

function describe(row, song) {
  setText(row.querySelector(".title"), title(song));
  setText(row.querySelector(".detail"), [song.artist, song.duration_s ? duration(song.duration_s) : ""].filter(Boolean).join(" · "));
  const by = row.querySelector(".by");
  setText(by.firstChild, whoAsked(song, song.mine));
  setText(by.lastChild, ready(song));
  by.classList.toggle("mine", song.mine);
}

function ready(song) {
  if (song.status === "played" || song.ready >= song.speakers) return "";
  return song.ready ? say("ready_some", { ready: song.ready, n: song.speakers }) : say("arriving");
}
