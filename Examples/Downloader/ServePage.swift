internal import ReliabilityExampleSupport

/// `GET /`: the figures for people, on one page without anything from elsewhere.
enum ServePage {
  static let reply = HTTPReply(
    status: 200,
    headers: [
      HTTPField("Content-Type", "text/html; charset=utf-8"),
      HTTPField(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
          + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
      HTTPField("Referrer-Policy", "no-referrer"),
    ],
    body: .bytes(Array(html.utf8)))

  /// One document is asked for every two seconds, in turn: half of what the rate limit allows.
  private static let html = """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>downloader</title>
    <style>
    :root { color-scheme: light dark; --line: #8884; --soft: #888; --good: #2a8a4a; --bad: #c0392b; }
    body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
    header { display: flex; align-items: baseline; gap: 1rem; flex-wrap: wrap; }
    h1 { font-size: 1.4rem; margin: 0; }
    h2 { font-size: .8rem; margin: 0 0 .5rem; color: var(--soft); text-transform: uppercase; letter-spacing: .06em; }
    #state { color: var(--soft); }
    #state.bad { color: var(--bad); }
    main { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem; margin-top: 1.2rem; }
    section { border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1.1rem; }
    dl { display: grid; grid-template-columns: 1fr auto; margin: 0; row-gap: .15rem; }
    dt { color: var(--soft); } dd { margin: 0; font-variant-numeric: tabular-nums; text-align: right; }
    .wide { grid-column: 1 / -1; }
    @media (min-width: 40rem) { .wide dl { grid-template-columns: repeat(2, 1fr auto); column-gap: 2rem; } }
    .bar { display: flex; height: .7rem; border-radius: .35rem; overflow: hidden; background: var(--line); }
    .bar i { display: block; height: 100%; }
    form { margin-top: 1rem; } form[hidden] { display: none; }
    </style>
    </head>
    <body>
    <header><h1>downloader</h1><span id="state">loading …</span></header>
    <form id="ask" hidden><label>Token <input id="token" type="password" autocomplete="off"></label>
    <button>Use</button></form>
    <main>
    <section class="wide"><h2>Tasks</h2><div class="bar" id="bar" role="img" aria-label="tasks by state"></div></section>
    <section><h2>Queue</h2><dl id="queue"></dl></section>
    <section><h2>Worker</h2><dl id="worker"></dl></section>
    <section><h2>Jobs</h2><dl id="jobs"></dl></section>
    <section class="wide"><h2>System</h2><dl id="system"></dl></section>
    <section class="wide"><h2>Last hour</h2><dl id="performance"></dl></section>
    </main>
    <script>
    "use strict";
    const names = ["system", "queue", "worker", "jobs", "performance"];
    const colours = { completed: "#2a8a4a", running: "#2f6fde", pending: "#d0a215", scheduled: "#a98df0",
      retrying: "#e07b39", failed: "#c0392b", dead: "#7d1f1f", cancelled: "#888" };
    const byId = id => document.getElementById(id);
    let token = "", turn = 0;
    function rows(value, prefix) {
      return Object.entries(value ?? {}).flatMap(([name, inner]) =>
        inner !== null && typeof inner === "object" ? rows(inner, name) : [[prefix, name, inner]]);
    }
    function fill(name, value) {
      const list = byId(name);
      list.replaceChildren();
      for (const [prefix, key, inner] of rows(value, "")) {
        const term = document.createElement("dt"), text = document.createElement("dd");
        const words = prefix && !["worker", "queue", "performance"].includes(prefix) ? prefix + " " + key : key;
        term.textContent = words.replaceAll("_", " ");
        text.textContent = inner === null ? "–" : inner === true ? "yes" : inner === false ? "no" : inner;
        list.append(term, text);
      }
    }
    function draw(breakdown) {
      const bar = byId("bar"), total = Object.values(breakdown).reduce((sum, count) => sum + count, 0);
      bar.replaceChildren();
      const said = [];
      for (const [state, colour] of Object.entries(colours)) {
        const count = breakdown[state] ?? 0;
        if (!count) continue;
        const part = document.createElement("i");
        part.style.width = 100 * count / total + "%";
        part.style.background = colour;
        part.title = state + ": " + count;
        said.push(part.title);
        bar.append(part);
      }
      bar.setAttribute("aria-label", said.join(", ") || "no tasks");
    }
    async function ask(name) {
      const state = byId("state");
      try {
        const query = name === "performance" ? "?time_window=3600" : "";
        const headers = token ? { Authorization: "Bearer " + token } : {};
        const answer = await fetch("/api/metrics/" + name + query, { headers, cache: "no-store" });
        byId("ask").hidden = answer.status !== 401;
        if (!answer.ok) throw new Error(answer.status === 401 ? "needs a token" : "answered " + answer.status);
        const value = await answer.json();
        fill(name, value);
        if (name === "system") draw(value.tasks.breakdown);
        state.textContent = "as of " + new Date().toLocaleTimeString();
        state.className = "";
      } catch (error) {
        state.textContent = error.message;
        state.className = "bad";
      }
    }
    byId("ask").addEventListener("submit", event => {
      event.preventDefault();
      token = byId("token").value;
      names.forEach(ask);
    });
    names.forEach(ask);
    setInterval(() => { if (!document.hidden) ask(names[turn++ % names.length]); }, 2000);
    </script>
    </body>
    </html>
    """
}
