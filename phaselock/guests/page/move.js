// Finds the next host of the session when this one is lost, and goes on there as the same guest.

import { forget, load, save } from "/store.js";

const ANSWER_MS = 3000;

export class Move {
  constructor(link) {
    this.link = link;
    this.guest = "";
    this.hosts = []; // The pages of the next hosts, and the proof by which this guest knows each of them.
    this.seeking = false;
    this.gone = false;
    link.on("hosts", ({ guest, hosts }) => {
      this.guest = guest;
      this.hosts = hosts;
    });
    link.on("up", () => forget("moved"));
    link.on("down", () => this.seek());
  }

  async seek() {
    if (this.seeking) return;
    this.seeking = true;
    await Promise.all(this.hosts.map((host) => this.ask(host)));
    this.seeking = false;
  }

  async ask(host) {
    const ended = typeof AbortController === "function" ? new AbortController() : null;
    const timer = setTimeout(() => ended && ended.abort(), ANSWER_MS);
    try {
      const signal = ended ? ended.signal : undefined;
      const answer = await fetch(`${host.at}/api/host?guest=${this.guest}`, { credentials: "omit", signal });
      if ((await answer.json()).proof === host.proof) this.go(host.at);
    } catch (error) {
      // No host is there.
    } finally {
      clearTimeout(timer);
    }
  }

  go(page) {
    if (this.gone || this.link.open || !this.link.running) return;
    this.gone = true;
    location.replace(`${page}/#${this.link.token}.${encodeURIComponent(load("name", ""))}`);
  }
}

// The page of another host has sent this phone here. If it has been here before, it stays the guest that it was, as long
// as that one is let in: any page of the web may have such a link. Returns whether there was one.
export function arrive(hash) {
  const at = hash.indexOf(".");
  if (at < 0) return false;
  const moved = { token: hash.slice(0, at), name: "" };
  try {
    moved.name = decodeURIComponent(hash.slice(at + 1));
  } catch (error) {
    // The page asks for the name.
  }
  const kept = save("moved", moved);
  if (!load("token")) become();
  if (kept) history.replaceState(null, "", location.pathname);
  return true;
}

// Be the guest that the phone was at the other host. Returns whether there was one.
export function become() {
  const moved = load("moved");
  if (!moved) return false;
  forget("moved");
  save("token", moved.token);
  if (moved.name) save("name", moved.name);
  return true;
}
