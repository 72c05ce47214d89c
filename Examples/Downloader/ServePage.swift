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
  ///
  /// Probes are not limited.
  private static let html = """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>downloader</title>
    <style>
    :root { color-scheme: light dark; --line: #8884; --soft: light-dark(#666, #aaa); --good: #2a8a4a; --warn: #c77d0a; --bad: #c0392b; }
    body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
    header { display: flex; align-items: baseline; gap: .8rem; flex-wrap: wrap; }
    h1 { font-size: 1.4rem; margin: 0; }
    h2 { font-size: .8rem; margin: 0 0 .5rem; color: var(--soft); text-transform: uppercase; letter-spacing: .06em; }
    #state { color: var(--soft); margin-left: auto; }
    #state.bad { color: var(--bad); }
    #health { font-size: .85rem; font-weight: 600; padding: .05rem .6rem; border-radius: 1rem; color: #fff; background: var(--soft); }
    #health.pass { background: var(--good); } #health.warn { background: var(--warn); } #health.fail { background: var(--bad); }
    #health:empty { display: none; }
    main { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem; margin-top: 1.2rem; }
    section { border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1.1rem; }
    dl { display: grid; grid-template-columns: auto 1fr; column-gap: 1rem; margin: 0; row-gap: .15rem; }
    dt { color: var(--soft); } dd { margin: 0; font-variant-numeric: tabular-nums; text-align: right; overflow-wrap: anywhere; }
    .wide { grid-column: 1 / -1; }
    .bar { display: flex; height: .8rem; border-radius: .4rem; overflow: hidden; background: var(--line); }
    .bar i { display: block; height: 100%; min-width: 2px; }
    #legend { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: .6rem 0 0; padding: 0; list-style: none; font-variant-numeric: tabular-nums; }
    #legend i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .45rem; }
    form { margin-top: 1rem; } form[hidden] { display: none; }
    </style>
    </head>
    <body>
    <header><h1>downloader</h1><span id="health" role="status"></span><span id="state">loading …</span></header>
    <form id="ask" hidden><label>Token <input id="token" type="password" autocomplete="off"></label>
    <button>Use</button></form>
    <main>
    <section class="wide"><h2>Tasks</h2><div class="bar" id="bar" role="img" aria-label="tasks by state"></div>
    <ul id="legend"></ul></section>
    <section><h2>Queue</h2><dl id="queue"></dl></section>
    <section><h2>Since the start</h2><dl id="worker"></dl></section>
    <section><h2>Last hour</h2><dl id="performance"></dl></section>
    </main>
    <script>
    "use strict";
    const names = ["system", "queue", "worker", "performance"];
    const colours = { completed: "#2a8a4a", running: "#2f6fde", pending: "#d0a215", scheduled: "#a98df0",
      retrying: "#e07b39", failed: "#c0392b", dead: "#7d1f1f", cancelled: "#888" };
    const byId = id => document.getElementById(id);
    const number = value => value.toLocaleString("en", { maximumFractionDigits: 1 });
    const seconds = value => value < 1 ? Math.round(value * 1000) + " ms" : value < 120 ? number(value) + " s"
      : value < 7200 ? Math.round(value / 60) + " min" : number(value / 3600) + " h";
    const rows = {
      queue: value => [["active downloads", number(value.active_downloads)], ["waiting", number(value.queued_tasks)],
        ["room used", value.capacity_usage], ["completed", number(value.status_breakdown.completed)],
        ["failed", number(value.status_breakdown.failed)]],
      worker: ({ worker }) => [["accepts work", worker.running ? "yes" : "no"], ["ended", number(worker.tasks_processed)],
        ["succeeded", number(worker.tasks_succeeded)], ["failed", number(worker.tasks_failed)],
        ["success rate", worker.tasks_processed ? number(worker.success_rate) + " %" : "–"],
        ["average duration", worker.tasks_processed ? seconds(worker.average_duration) : "–"], ["up for", seconds(worker.uptime)]],
      performance: ({ performance, health }) => [["tasks an hour", number(performance.tasks_per_hour)],
        ["success rate", performance.tasks_per_hour ? performance.success_rate : "–"],
        ["average duration", performance.tasks_per_hour ? performance.average_task_duration : "–"],
        ["errors", number(health.error_count)], ["last error", health.last_error ?? "none"]],
    };
    let token = "", turn = 0;
    function fill(name, value) {
      byId(name).replaceChildren(...rows[name](value).flatMap(([label, text]) => {
        const term = document.createElement("dt"), answer = document.createElement("dd");
        term.textContent = label;
        answer.textContent = text;
        return [term, answer];
      }));
    }
    function draw({ total, breakdown }) {
      const bar = byId("bar"), legend = byId("legend"), said = [];
      bar.replaceChildren();
      legend.replaceChildren();
      for (const [state, colour] of Object.entries(colours)) {
        const count = breakdown[state] ?? 0;
        if (!count) continue;
        const part = document.createElement("i"), dot = document.createElement("i"), item = document.createElement("li");
        part.style.width = 100 * count / total + "%";
        part.style.background = dot.style.background = colour;
        part.title = state + ": " + number(count);
        said.push(part.title);
        item.append(dot, number(count) + " " + state);
        bar.append(part);
        legend.append(item);
      }
      if (!said.length) legend.append(Object.assign(document.createElement("li"), { textContent: "none yet" }));
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
        if (name === "system") draw(value.tasks); else fill(name, value);
        state.textContent = "as of " + new Date().toLocaleTimeString();
        state.className = "";
      } catch (error) {
        state.textContent = error instanceof TypeError ? "the service does not answer" : error.message;
        state.className = "bad";
      }
    }
    async function probe() {
      const badge = byId("health");
      try {
        const { status } = await (await fetch("/health", { cache: "no-store" })).json();
        badge.className = status;
        badge.textContent = { pass: "healthy", warn: "with warnings", fail: "unhealthy" }[status] ?? status;
      } catch {
        badge.textContent = "";
      }
    }
    byId("ask").addEventListener("submit", event => {
      event.preventDefault();
      token = byId("token").value;
      names.forEach(ask);
    });
    names.forEach(ask);
    probe();
    setInterval(() => {
      if (document.hidden) return;
      ask(names[turn++ % names.length]);
      if (turn % 5 === 0) probe();
    }, 2000);
    </script>
    </body>
    </html>
    """
}
