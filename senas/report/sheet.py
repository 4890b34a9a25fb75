"""The sheet that a study's report is written on: its look on a screen and on paper. No address in it leads anywhere."""

SHEET = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>$title: report</title>
<style>
:root { $light }
$drawn
$figures
* { box-sizing:border-box; }
body { margin:0 auto; padding:32px 28px 56px; max-width:1060px; background:var(--bg); color:var(--fg);
  font:15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size:26px; line-height:1.2; margin:0; } h2 { font-size:19px; margin:40px 0 8px; padding-top:14px;
  border-top:1px solid var(--line); } h3 { font-size:15px; margin:20px 0 6px; } p { margin:6px 0; max-width:85ch; }
.dim, figcaption, .for, nav { color:var(--dim); font-size:13px; }
nav { display:flex; flex-wrap:wrap; gap:2px 14px; } nav a { color:inherit; }
.answer { border:2px solid var(--orange); border-radius:10px; padding:14px 20px 12px; margin:18px 0; }
.answer .verdict { font-size:20px; font-weight:600; line-height:1.3; max-width:none; } .answer p { max-width:none; }
.open { border-style:dashed; }
dl { display:grid; grid-template-columns:repeat(auto-fill, minmax(310px, 1fr)); gap:8px 24px; margin:14px 0; }
dt { color:var(--dim); font-size:12px; } dd { margin:0; overflow-wrap:anywhere; }
figure { margin:12px 0; } figcaption { margin-top:4px; max-width:95ch; } img { max-width:100%; height:auto; }
.forest, .plot svg { max-width:820px; width:100%; display:block; } .network { width:100%; display:block; }
.legend { display:flex; flex-wrap:wrap; gap:4px 16px; font-size:13px; color:var(--dim); max-width:none; }
.legend i { display:inline-block; width:12px; height:12px; margin-right:5px; vertical-align:-1px; border-radius:2px; }
.scroll { overflow-x:auto; margin:10px 0; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; font-size:13.5px; }
caption { text-align:left; color:var(--dim); font-size:13px; padding:0 0 6px; }
th, td { padding:5px 10px; border-bottom:1px solid var(--line); text-align:left; vertical-align:top; }
th { font-weight:600; } thead th { background:var(--card); vertical-align:bottom; } tbody th { font-weight:500; }
.n { text-align:right; white-space:nowrap; } small { display:block; font-size:12px; color:var(--dim); font-weight:400; }
td svg { display:block; } td svg.strip { max-width:170px; } small.pick { color:var(--orange); }
li { margin:3px 0; max-width:90ch; }
pre { margin:4px 0 10px; padding:8px 12px; background:var(--card); border:1px solid var(--line); border-radius:6px;
  font:13px/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; white-space:pre-wrap; overflow-wrap:anywhere; }
.for { margin:8px 0 0; } details { margin:10px 0; } summary { cursor:pointer; color:var(--blue); font-size:14px; }
.chance { display:inline-block; width:46px; height:8px; margin-right:6px; background:var(--slot); border-radius:4px;
  overflow:hidden; } .chance i { display:block; height:100%; background:var(--blue); }
@page { size:A4; margin:14mm 13mm; }
@media print {
  body { padding:0; max-width:none; font-size:10.5pt; } nav { display:none; } h2 { margin-top:22px; }
  * { -webkit-print-color-adjust:exact; print-color-adjust:exact; }
  h2, h3, caption, summary { break-after:avoid; } figure, tr, pre, .answer, li { break-inside:avoid; }
  thead { display:table-header-group; } .scroll { overflow:visible; } 
  table { font-size:8.5pt; } th, td { padding:3px 6px; }
  dl { grid-template-columns:1fr 1fr; break-inside:avoid; } summary { list-style:none; color:var(--fg); }
  details pre { break-inside:auto; columns:3; font-size:6.5pt; }
  details::details-content { content-visibility:visible; display:block; } a { color:inherit; text-decoration:none; }
}
</style>
</head>
<body>
<header>
<h1>$title</h1>
<p class="dim">$subtitle</p>
<nav aria-label="Sections">$contents</nav>
</header>
<main>
$answer
$sections
</main>
<footer><p class="dim">Written by senas. This page needs no network.</p></footer>
</body>
</html>
"""
FIGURES = """\
svg text { fill:var(--fg); }
.single { fill:none; stroke:var(--grey); stroke-width:1; }
.stage { fill:none; stroke:var(--grey); } .name { font-size:11px; fill:var(--fg); } .who { font-weight:600; }
.wire { fill:none; stroke:#8a93a1; stroke-width:1.3; } .conv { fill:#dfe3e9; stroke:#8a93a1; }
.sum { fill:var(--bg); stroke:#8a93a1; stroke-width:1.3; } .gate { stroke:var(--bg); stroke-width:1; }
.strong { fill:#fff4ec; stroke:var(--orange); } .width { font-weight:600; }
.bar { fill:none; stroke-width:5; stroke-linecap:round; } .bar.even { stroke:var(--grey); }
.bar.down { stroke:var(--blue); } .bar.up { stroke:var(--orange); } .mean { fill:var(--fg); }
.curve { fill:none; } .curve.thin { stroke:var(--grey); stroke-width:.8; opacity:.55; }
.curve.pick { stroke:var(--orange); stroke-width:2.4; } .curve.baseline-none { stroke:var(--fg); stroke-width:2; }
.curve.baseline-all16 { stroke:var(--pre); stroke-width:2; }
.curve.baseline-former { stroke:var(--post); stroke-width:2; }"""
"""Of the drawings that only a report has."""
