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
  }

  create(song) {
    const button = make("button", { type: "button", class: "vote quiet" }, icon("up"), make("span"));
    button.addEventListener("click", () => this.vote(song.id));
    const words = make("div", { class: "words" });
    for (const name of ["title", "detail"]) words.append(make("p", { class: name }));
    words.append(make("p", { class: "by" }, make("span"), make("span")));
    return make("li", { class: "row" }, words, button);
  }

  update(row, song) {
    const name = title(song);
    const { votes, voted } = this.votes(song);
    setText(row.querySelector(".title"), name);
    setText(row.querySelector(".detail"), [song.artist, song.duration_s ? duration(song.duration_s) : ""].filter(Boolean).join(" · "));
    const by = row.querySelector(".by");
    setText(by.firstChild, whoAsked(song, song.mine));
    setText(by.lastChild, ready(song));
    by.classList.toggle("mine", song.mine);
    const button = row.querySelector("button");
    setText(button.querySelector("span"), String(votes));
    button.setAttribute("aria-pressed", String(voted));
    button.setAttribute("aria-label", say("vote_label", { song: name, n: votes }));
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

function ready(song) {
  if (song.ready >= song.speakers) return "";
  return song.ready ? say("ready_some", { ready: song.ready, n: song.speakers }) : say("arriving");
}
