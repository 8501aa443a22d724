// What the phone keeps of this page. Where the browser keeps nothing (it then throws), memory holds it until the page is
// closed.

const PREFIX = "phaselock.";
const memory = new Map();

export function load(name, otherwise = null) {
  try {
    const found = localStorage.getItem(PREFIX + name);
    if (found !== null) return JSON.parse(found);
  } catch (error) {
    // Blocked, or written by another program: what memory has is used.
  }
  return memory.has(name) ? memory.get(name) : otherwise;
}

// Returns whether it outlives the page.
export function save(name, value) {
  memory.set(name, value);
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch (error) {
    return false;
  }
}

export function forget(name) {
  memory.delete(name);
  try {
    localStorage.removeItem(PREFIX + name);
  } catch (error) {
    // Nothing was kept.
  }
}

// Keep what is typed into an entry until `done` is called.
export function keepTyped(entry, name) {
  entry.value = load(name, "");
  entry.addEventListener("input", () => save(name, entry.value));
  return {
    done() {
      entry.value = "";
      forget(name);
    },
  };
}
