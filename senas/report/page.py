"""The page around a front: its look, and a few lines of script. No address in it leads anywhere."""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title: the front</title>
<style>
:root { color-scheme: light dark; $light }
@media (prefers-color-scheme: dark) { :root { --bg:#14171c; --fg:#e4e8ee; --dim:#98a1ae; --line:#2c323b; --slot:#222831;
  --card:#1b2027; --blue:#5c9dff; --grey:#5b6472; --orange:#ff8a4c; --none:#454d59; --standard:#5c9dff; --pre:#a78bfa;
  --post:#34c996; --identity:#f077bd; --inner:#e0a94a; } }
* { box-sizing: border-box; }
body { margin:0 auto; padding:28px 24px 48px; max-width:1080px; background:var(--bg); color:var(--fg);
  font:15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size:24px; margin:0; } h2 { font-size:16px; margin:34px 0 10px; } p { margin:6px 0; }
.dim { color:var(--dim); font-size:13px; } .big { font-size:26px; font-weight:600; line-height:1.2; }
.cards { display:flex; flex-wrap:wrap; gap:12px; margin:20px 0 4px; }
.card { background:var(--card); border:1px solid var(--line); border-radius:8px; padding:12px 18px; min-width:180px; }
.card:first-child { border-color:var(--orange); }
$drawn
small { display:block; font-size:12px; color:var(--dim); font-weight:400; } li { margin:2px 0; }
pre { margin:6px 0; font-size:13px; overflow-x:auto; }
.legend { display:flex; flex-wrap:wrap; gap:16px; font-size:13px; color:var(--dim); }
.legend i { display:inline-block; width:12px; height:12px; margin-right:5px; vertical-align:-1px; border-radius:2px; }
.scroll { overflow-x:auto; border:1px solid var(--line); border-radius:8px; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; font-size:14px; }
th { text-align:left; cursor:pointer; background:var(--card); white-space:nowrap; font-weight:600; user-select:none; }
th, td { padding:7px 12px; border-bottom:1px solid var(--line); } .n { text-align:right; white-space:nowrap; }
tr:last-child td { border:0; }
th[aria-sort]::after { content:" ▲"; font-size:10px; } th[aria-sort=descending]::after { content:" ▼"; }
tr.hot td { background:var(--slot); } tr.pick td { font-weight:600; } td svg { display:block; }
tbody:not(.all) tr:not(.onfront):not(.pick):not(.named) { display:none; }
.tag { display:inline-block; border-radius:10px; padding:0 8px; margin-right:4px; font-size:12px; font-weight:500;
  white-space:nowrap; border:1px solid var(--line); }
.t-recommended, .t-picked, .t-leads { color:var(--orange); border-color:var(--orange); }
.t-front { color:var(--blue); border-color:var(--blue); }
button { font:inherit; font-size:13px; color:var(--blue); background:none; border:0; padding:8px 0; cursor:pointer; }
#tip { position:fixed; z-index:9; display:none; pointer-events:none; white-space:pre-line; max-width:420px;
font-size:13px;
  background:var(--fg); color:var(--bg); border-radius:6px; padding:7px 11px; }
.note { border-left:3px solid var(--orange); padding:2px 0 2px 14px; margin:18px 0; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="dim">$subtitle</p>
<p>$question</p>
<div class="cards">$cards</div>
<div class="note"><strong>How far to trust these figures:</strong> $behind</div>

<h2>$pick</h2>
<p class="dim">$why</p>
$ways
<ul class="dim">$beside</ul>
$strip
<p class="legend"><span><i style="background:var(--standard)"></i>standard</span>
<span><i style="background:var(--pre)"></i>pre</span><span><i style="background:var(--post)"></i>post</span>
<span><i style="background:var(--identity)"></i>identity</span><span><i style="background:var(--inner)"></i>inner</span>
<span><i style="background:var(--none)"></i>no SE block</span><span>a full bar is half as many hidden units as channels
(r = 2); each step down is half of that</span></p>

<h2>The front: loss against what the SE blocks cost</h2>
<p class="legend"><span><i style="background:var(--blue);border-radius:50%"></i>on the front: no other configuration
is better in both; with its 90% interval, the paler the less sure</span><span><i
style="background:var(--grey);border-radius:50%"></i>single trainings ($trainings)</span>
<span><i style="border:2px solid var(--orange);border-radius:50%"></i>$kind</span><span>◇ baseline</span>
<span><i style="background:var(--pre)"></i>as many SE blocks at random places</span></p>
$scatter

<h2>Configurations</h2>
<p class="dim">A configuration is called after the first trial that trained it. In small figures: the interval that
holds the mean over seeds with a probability of 90%.</p>
<div class="scroll"><table>
<thead><tr><th class="n">trial</th><th class="n">$metric</th><th class="n">minus no SE</th>
<th class="n">on front</th><th class="n">trainings</th><th class="n">SE params</th><th class="n">MACs</th>
<th>SE over the sites</th><th>what it is</th></tr></thead>
<tbody>
$rows</tbody></table></div>
<button id="more">show all $configurations configurations</button>

<h2>How the search went: hypervolume of the front after each trial</h2>
<p class="dim">The area between the front and (the loss of guessing, SE at its largest): it grows as the front
improves.</p>
$volume
<p class="dim">Written by senas. This page needs no network.</p>
<div id="tip" role="tooltip"></div>
<script>
const tip = document.getElementById("tip"), body = document.querySelector("tbody");
const near = (n, on) => document.querySelectorAll('[data-n="' + n + '"]').forEach(e => e.classList.toggle("hot", on));
function show(e) {
  const it = e.target.closest("[data-tip],[data-n]");
  if (!it) return;
  if (it.dataset.n) near(it.dataset.n, true);
  if (!it.dataset.tip) return;
  const box = it.getBoundingClientRect();
  tip.textContent = it.dataset.tip;
  tip.style.display = "block";
  tip.style.left = Math.max(8, Math.min(box.right + 8, innerWidth - tip.offsetWidth - 8)) + "px";
  tip.style.top = Math.max(8, box.top - tip.offsetHeight - 6) + "px";
}
function hide(e) {
  const it = e.target.closest("[data-n]");
  if (it) near(it.dataset.n, false);
  tip.style.display = "none";
}
for (const [kind, act] of [["mouseover", show], ["focusin", show], ["mouseout", hide], ["focusout", hide]])
  document.addEventListener(kind, act);
document.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
  const down = head.getAttribute("aria-sort") === "ascending";
  document.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = row => row.cells[column].dataset.v;
  const compare = (a, b) => isNaN(value(a)) || isNaN(value(b)) ? value(a).localeCompare(value(b)) : value(a) - value(b);
  [...body.rows].sort((a, b) => down ? compare(b, a) : compare(a, b)).forEach(row => body.append(row));
}));
body.querySelectorAll("tr").forEach(row => row.classList.toggle("named", /baseline/.test(row.textContent)));
const more = document.getElementById("more");
more.hidden = !body.querySelector("tr:not(.onfront):not(.pick):not(.named)");
more.onclick = () => {
  more.textContent = body.classList.toggle("all") ? "show the front only" : "show all $configurations configurations";
};
</script>
</body>
</html>
"""
